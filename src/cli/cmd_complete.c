/* SPDX-License-Identifier: Apache-2.0 */
/* Completion: a short script per shell asks the program, which answers out of the tables of
 * commands, flags and options. So a shell never offers what the program does not take. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "core/errors.h"
#include "engine/own.h"
#include "engine/registry.h"

/* ---- scripts ---- */

static const struct script {
    const char *shell, *text;
} scripts[] = {
    {"bash",
     "# wherry completion for bash: eval \"$(wherry completion bash)\"\n"
     "_wherry() {\n"
     "    local cur=${COMP_WORDS[COMP_CWORD]} line\n"
     "    COMPREPLY=()\n"
     "    while IFS= read -r line; do\n"
     "        case $line in\n"
     "        :files) compopt -o filenames; while IFS= read -r line; do COMPREPLY+=(\"$line\"); "
     "done "
     "< <(compgen -f -- \"$cur\") ;;\n"
     "        :folders) compopt -o filenames; while IFS= read -r line; do COMPREPLY+=(\"$line\"); "
     "done "
     "< <(compgen -d -- \"$cur\") ;;\n"
     "        *) line=${line%%$'\\t'*}; [[ $line == *: ]] && compopt -o nospace\n"
     "           COMPREPLY+=(\"$line\") ;;\n"
     "        esac\n"
     "    done < <(\"${COMP_WORDS[0]}\" complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
     "}\n"
     "complete -F _wherry wherry\n"},
    {"zsh",
     "#compdef wherry\n"
     "# wherry completion for zsh: eval \"$(wherry completion zsh)\", after compinit\n"
     "_wherry() {\n"
     "    local line; local -a found\n"
     "    for line in \"${(@f)$(\"${words[1]}\" complete \"${(@)words[2,CURRENT]}\" "
     "2>/dev/null)}\"; do\n"
     "        case $line in\n"
     "        :files) _files ;;\n"
     "        :folders) _files -/ ;;\n"
     "        ?*) line=${line//:/\\\\:}; found+=(\"${line/$'\\t'/:}\") ;;\n"
     "        esac\n"
     "    done\n"
     "    (( $#found )) && _describe -V wherry found\n"
     "}\n"
     "if [ \"$funcstack[1]\" = _wherry ]; then _wherry \"$@\"; else compdef _wherry wherry; fi\n"},
    {"fish", "# wherry completion for fish: wherry completion fish > "
             "~/.config/fish/completions/wherry.fish\n"
             "function __wherry_complete\n"
             "    set -l words (commandline -opc)\n"
             "    set -l cur (commandline -ct)\n"
             "    for line in ($words[1] complete $words[2..-1] \"$cur\" 2>/dev/null)\n"
             "        switch $line\n"
             "            case ':files'\n"
             "                __fish_complete_path \"$cur\"\n"
             "            case ':folders'\n"
             "                __fish_complete_directories \"$cur\"\n"
             "            case '*'\n"
             "                echo $line\n"
             "        end\n"
             "    end\n"
             "end\n"
             "complete -c wherry -f -a '(__wherry_complete)'\n"},
};
#define N_SCRIPTS (sizeof(scripts) / sizeof(scripts[0]))

int wh_cmd_completion(struct wh_cli *c)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);
    const char *word = c->args.n ? c->args.v[0] : "";
    for (size_t i = 0; i < N_SCRIPTS; i++)
        if (strcmp(word, scripts[i].shell) == 0) {
            wh_ignore(wh_buf_adds(&b, scripts[i].text));
            return wh_cli_print(&b) ? 0 : 1;
        }
    if (!c->args.n)
        return wh_cli_usage(c, "E1011", "wherry completion bash, zsh or fish",
                            "completion needs the name of a shell");
    return wh_cli_usage(c, "E1002", "bash, zsh and fish are known",
                        "there is no completion for '%s'", word);
}

/* ---- candidates ---- */

struct asked {
    struct wh_cli *c;
    const char *prefix; /* the word as far as it is typed */
    const char *before; /* "--mode=": stands before the value in the same word */
    struct wh_buf b;
    int words; /* typed so far, the last one among them */
};

static void offer(struct asked *a, const char *word, const char *what)
{
    if (strncmp(word, a->prefix, strlen(a->prefix)) != 0)
        return;
    wh_ignore(
        wh_buf_printf(&a->b, "%s%s%s%s\n", a->before, word, what ? "\t" : "", what ? what : ""));
}

static void offer_list(struct asked *a, const char *words)
{
    while (*words) {
        char one[64];
        size_t n = strcspn(words, " ");
        snprintf(one, sizeof(one), "%.*s", (int)n, words);
        offer(a, one, NULL);
        words += n + (words[n] == ' ');
    }
}

static void offer_commands(struct asked *a)
{
    for (const struct wh_command *k = wh_commands; k->name; k++)
        if (!k->hidden)
            offer(a, k->name, k->summary);
}

static void offer_flags(struct asked *a, const struct wh_command *cmd)
{
    struct wh_flag_seen f;
    uint32_t groups = (cmd ? cmd->groups : 0) | WH_G_GLOBAL;
    for (size_t i = 0; wh_flag_at(NULL, i, groups, &f); i++) {
        char word[80];
        snprintf(word, sizeof(word), "--%s", f.name);
        offer(a, word, f.help);
    }
}

/* What may follow flags whose value is no key of the option tables. */
static const struct {
    const char *flag, *values;
} flag_values[] = {
    {"color", "auto always never"},
    {"log-format", "text json"},
    {"level", "count stats checksum rows"},
    {"split", "auto none"},
    {"side", "from raw to"},
    {"status", "running unfinished done failed interrupted refused discarded"},
    {"directory", ":folders"},
    {"events", ":files"},
    {"summary", ":files"},
    {"log-file", ":files"},
    {"state", ":files"},
    {"output", ":files"},
    {"save", ":files"},
    {"plan", ":files"},
};

static void special(struct asked *a, const char *word)
{
    if (!*a->before)
        wh_ignore(wh_buf_printf(&a->b, "%s\n", word));
}

static void offer_values(struct asked *a, const struct wh_flag_seen *f)
{
    const struct wh_option *row = f->key ? wh_job_option(f->key) : NULL;
    for (const struct wh_enum *e = row ? row->values : NULL; e && e->name; e++)
        if (!e->unavailable)
            offer(a, e->name, e->help);
    for (size_t i = 0; i < sizeof(flag_values) / sizeof(flag_values[0]); i++)
        if (strcmp(flag_values[i].flag, f->name) == 0) {
            if (flag_values[i].values[0] == ':')
                special(a, flag_values[i].values);
            else
                offer_list(a, flag_values[i].values);
        }
}

static wh_status offer_connector(void *arg, const struct wh_connector *k)
{
    offer(arg, k->name, k->title);
    return WH_OK;
}

static wh_status offer_scheme(void *arg, const struct wh_connector *k)
{
    char word[64];
    snprintf(word, sizeof(word), "%s:", k->name);
    offer(arg, word, k->title);
    return WH_OK;
}

static wh_status offer_run(void *arg, const struct wh_run_record *r)
{
    struct asked *a = arg;
    offer(a, r->run, r->job);
    return a->b.n > 1 << 14 ? WH_END : WH_OK;
}

static void offer_runs(struct asked *a)
{
    struct wh_state *state;
    struct wh_error e;
    if (wh_cli_state(a->c, &state, &e) == WH_OK)
        wh_ignore(wh_state_runs(state, NULL, NULL, false, offer_run, a, &e));
}

static void offer_codes(struct asked *a)
{
    size_t n;
    const struct wh_error_page *p = wh_error_pages(&n);
    for (size_t i = 0; i < n; i++)
        offer(a, p[i].code, p[i].title);
}

static void offer_shells(struct asked *a)
{
    for (size_t i = 0; i < N_SCRIPTS; i++)
        offer(a, scripts[i].shell, NULL);
}

static void offer_connectors(struct asked *a)
{
    wh_ignore(wh_registry_each(offer_connector, a, NULL));
}

static void offer_files(struct asked *a)
{
    special(a, ":files");
}

static void offer_objects(struct asked *a)
{
    const struct wh_node *all = wh_cli_connections(a->c);
    special(a, ":files");
    for (size_t i = 0; all && i < all->n; i++) {
        char word[160];
        snprintf(word, sizeof(word), "%s:", all->keys[i]->text);
        offer(a, word, wh_node_text(wh_node_get(all->items[i], "type"), NULL));
    }
    if (*a->prefix && !strpbrk(a->prefix, "./"))
        wh_ignore(wh_registry_each(offer_scheme, a, NULL));
}

static wh_status offer_secret_name(void *arg, const char *name)
{
    offer(arg, name, NULL);
    return WH_OK;
}

static void offer_secret(struct asked *a)
{
    struct wh_error e;
    if (a->words < 3)
        offer_list(a, "list set rm");
    else
        wh_ignore(wh_secrets_each(offer_secret_name, a, &e));
}

static void offer_dirty(struct asked *a)
{
    if (a->words < 3)
        offer_list(a, "list export replay drop");
    else if (a->words == 3)
        offer_runs(a);
}

static void offer_import(struct asked *a)
{
    if (a->words < 3)
        offer_list(a, "datax cdm sling");
    else
        offer_files(a);
}

static void offer_conn(struct asked *a)
{
    const struct wh_node *all = a->words < 3 ? NULL : wh_cli_connections(a->c);
    if (a->words < 3)
        offer_list(a, "list show test add rm");
    for (size_t i = 0; all && i < all->n; i++)
        offer(a, all->keys[i]->text, wh_node_text(wh_node_get(all->items[i], "type"), NULL));
}

static const struct {
    const char *command;
    void (*offer)(struct asked *);
} words[] = {
    {"run", offer_files},
    {"help", offer_commands},
    {"explain", offer_codes},
    {"completion", offer_shells},
    {"connectors", offer_connectors},
    {"watch", offer_runs},
    {"logs", offer_runs},
    {"limit", offer_runs},
    {"dirty", offer_dirty},
    {"resume", offer_runs},
    {"cancel", offer_runs},
    {"status", offer_runs},
    {"units", offer_runs},
    {"copy", offer_objects},
    {"plan", offer_objects},
    {"validate", offer_objects},
    {"check", offer_objects},
    {"discover", offer_objects},
    {"describe", offer_objects},
    {"preview", offer_objects},
    {"grants", offer_objects},
    {"config", offer_objects},
    {"init", offer_objects},
    {"conn", offer_conn},
    {"import", offer_import},
    {"secret", offer_secret},
};

static bool flag_named(const struct wh_command *cmd, const char *word, size_t n,
                       struct wh_flag_seen *ret)
{
    uint32_t groups = (cmd ? cmd->groups : 0) | WH_G_GLOBAL;
    for (size_t i = 0; wh_flag_at(NULL, i, groups, ret); i++)
        if (strlen(ret->name) + 2 == n && strncmp(word, "--", 2) == 0 &&
            strncmp(word + 2, ret->name, n - 2) == 0)
            return true;
        else if (n == 2 && word[0] == '-' && ret->letter && word[1] == ret->letter)
            return true;
    return false;
}

/* The value of `--flag value`, `--flag=value`, and bash's three words `--flag = value`. */
static bool value_wanted(struct asked *a, const struct wh_command *cmd, int argc, char **argv)
{
    struct wh_flag_seen f;
    char *last = argv[argc - 1], *eq = strchr(last, '=');
    int at = argc - 2;
    if (strcmp(last, "=") == 0)
        a->prefix = "";
    else if (at >= 1 && strcmp(argv[at], "=") == 0)
        at--;
    else if (strncmp(last, "--", 2) == 0 && eq) {
        if (!flag_named(cmd, last, (size_t)(eq - last), &f) || !f.takes_value)
            return false;
        a->prefix = eq + 1;
        a->before = wh_arena_strndup(a->c->arena, last, (size_t)(eq + 1 - last));
        offer_values(a, &f);
        return true;
    }
    if (at < 0 || !flag_named(cmd, argv[at], strlen(argv[at]), &f) || !f.takes_value)
        return false;
    offer_values(a, &f);
    return true;
}

int wh_complete(struct wh_cli *c, int argc, char **argv)
{
    struct asked a = {.c = c, .before = "", .b = WH_BUF(1 << 20)};
    if (argc < 1)
        return 0;
    a.prefix = argv[argc - 1];
    a.words = argc;
    int at = wh_flags_before(argc - 1, argv);
    const struct wh_command *cmd = at < argc - 1 ? wh_command_find(argv[at]) : NULL;
    if (value_wanted(&a, cmd, argc, argv))
        ;
    else if (a.prefix[0] == '-')
        offer_flags(&a, cmd);
    else if (at >= argc - 1)
        offer_commands(&a);
    for (size_t i = 0; cmd && !a.b.n && a.prefix[0] != '-' && i < sizeof(words) / sizeof(words[0]);
         i++)
        if (strcmp(words[i].command, cmd->name) == 0)
            words[i].offer(&a);
    wh_cli_print(&a.b);
    wh_buf_free(&a.b);
    return 0;
}
