/* SPDX-License-Identifier: Apache-2.0 */
/* wherry schema: what an editor has to know of a job file. */
#include <string.h>

#include "cli/cli.h"

/* What all of them begin with. */
#define SCHEMA_HEAD                                                                                \
    "{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"title\":\"Wherry job file\""

int wh_cmd_schema(struct wh_cli *c)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);
    struct wh_error e = {0};
    if (wh_job_schema(&b, &e) != WH_OK)
        return wh_cli_fail(c, &e);
    if (!c->output || strcmp(c->output, "-") == 0)
        return wh_cli_print(&b) ? 0 : 1;
    return wh_cli_put_whole(c, "schema of Wherry", c->output, &b, 0666, sizeof SCHEMA_HEAD - 1);
}
