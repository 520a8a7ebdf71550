/* SPDX-License-Identifier: Apache-2.0 */
/* A password on the command line: everybody on this machine could read it there. It works, is said
 * once, and goes from the list of processes as soon as it has been read. */
#include <string.h>

#include "cli/cli.h"
#include "core/log.h"

/* "scheme://user:password@host": between the first ':' and the last '@' of the authority. */
static struct wh_str in_authority(const char *word)
{
    const char *start = strstr(word, "://");
    if (!start)
        return (struct wh_str){0};
    start += 3;
    const char *end = start + strcspn(start, "/?#");
    const char *at = memrchr(start, '@', (size_t)(end - start));
    const char *colon = at ? memchr(start, ':', (size_t)(at - start)) : NULL;
    if (!colon || colon + 1 == at)
        return (struct wh_str){0};
    return (struct wh_str){colon + 1, (size_t)(at - colon - 1)};
}

/* "password=..." as a parameter of a URL or a setting. */
static struct wh_str in_setting(const char *word)
{
    const char *key = strstr(word, "password=");
    if (!key)
        return (struct wh_str){0};
    key += strlen("password=");
    return (struct wh_str){key, strcspn(key, "&,#")};
}

static bool literal(struct wh_str secret)
{
    return secret.n > 0 && !wh_str_starts(secret, "${");
}

/* argv[i] becomes a copy of ours; what the system shows is overwritten. */
static bool hide_word(struct wh_cli *c, char **word)
{
    const struct wh_str found[] = {in_authority(*word), in_setting(*word)};
    char *shown = *word;
    bool hidden = false;
    for (size_t i = 0; i < 2; i++) {
        if (!literal(found[i]))
            continue;
        if (!hidden)
            *word = wh_arena_strdup(c->arena, shown);
        if (!*word) {
            *word = shown;
            return false;
        }
        hidden = true;
        memset(shown + (found[i].s - shown), '*', found[i].n);
    }
    return hidden;
}

void wh_cli_hide(struct wh_cli *c, int argc, char **argv)
{
    bool hidden = false;
    for (int i = 0; i < argc; i++)
        hidden |= hide_word(c, &argv[i]);
    if (hidden)
        wh_problem_warn(&c->problems, "E1069", "command line",
                        "shells keep it in their history: PGPASSWORD, ~/.pgpass or a connection "
                        "with 'password: ${env:NAME}' do not, and resume finds it there",
                        "a password stands in the command");
}
