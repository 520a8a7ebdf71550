/* SPDX-License-Identifier: Apache-2.0 */
/* Trees as YAML that the reader takes back: what could mean something else is quoted. */
#include <ctype.h>
#include <string.h>

#include "cli/cli.h"

/* A word that no reader of YAML takes for anything but text, or a plain whole number. */
static bool plain(const char *s)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no",
                                        "on",   "off",   "y",    "n",   NULL};
    size_t digits = strspn(s, "0123456789");
    if (digits && !s[digits])
        return digits < 10 && (s[0] != '0' || digits == 1);
    if (!isalpha((unsigned char)s[0]) || s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
                                                     "RSTUVWXYZ0123456789_-")])
        return false;
    for (const char *const *w = words; *w; w++)
        if (strcasecmp(s, *w) == 0)
            return false;
    return true;
}

wh_status wh_yaml_scalar(const char *s, struct wh_buf *b)
{
    if (plain(s))
        return wh_buf_adds(b, s);
    for (const char *p = s; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return wh_buf_json(b, s, strlen(s));
    WH_TRY(wh_buf_addc(b, '\''));
    for (const char *p = s; *p; p++) {
        if (*p == '\'')
            WH_TRY(wh_buf_addc(b, '\''));
        WH_TRY(wh_buf_addc(b, *p));
    }
    return wh_buf_addc(b, '\'');
}

static bool flat(const struct wh_node *node)
{
    for (size_t i = 0; i < node->n; i++)
        if (node->items[i]->n)
            return false;
    return true;
}

static wh_status one_line(const struct wh_node *node, struct wh_buf *b)
{
    bool map = node->kind == WH_NODE_MAP;
    if (node->kind != WH_NODE_LIST && !map)
        return wh_yaml_scalar(node->text, b);
    WH_TRY(wh_buf_adds(b, map ? "{ " : "["));
    for (size_t i = 0; i < node->n; i++) {
        WH_TRY(wh_buf_adds(b, i ? ", " : ""));
        if (map) {
            WH_TRY(wh_yaml_scalar(node->keys[i]->text, b));
            WH_TRY(wh_buf_adds(b, ": "));
        }
        WH_TRY(one_line(node->items[i], b));
    }
    return wh_buf_adds(b, map ? " }" : "]");
}

wh_status wh_yaml_member(const char *key, const struct wh_node *value, int indent, struct wh_buf *b)
{
    WH_TRY(wh_buf_printf(b, "%*s", indent, ""));
    WH_TRY(wh_yaml_scalar(key, b));
    WH_TRY(wh_buf_adds(b, ":"));
    if (value->kind == WH_NODE_MAP && value->n && !flat(value)) {
        WH_TRY(wh_buf_adds(b, "\n"));
        for (size_t i = 0; i < value->n; i++)
            WH_TRY(wh_yaml_member(value->keys[i]->text, value->items[i], indent + 2, b));
        return WH_OK;
    }
    WH_TRY(wh_buf_adds(b, " "));
    WH_TRY(one_line(value, b));
    return wh_buf_adds(b, "\n");
}
