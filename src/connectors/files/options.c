/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of the files family. A common name that this build cannot honour has a row, so that it
 * is refused with its own words and never ignored. */
#include <string.h>

#include "core/options.h"
#include "scan.h"

static const struct wh_enum formats[] = {
    {FILES_FORMAT_AUTO, "auto", "By the name of the file", NULL},
    {FILES_FORMAT_CSV, "csv", "Delimited text", NULL},
    {FILES_FORMAT_TSV, "tsv", "Delimited by tabs", NULL},
    {FILES_FORMAT_JSON, "json", "JSON: an array of objects, or objects behind one another", NULL},
    {FILES_FORMAT_JSONL, "jsonl", "JSON lines: one object per line", NULL},
    {FILES_FORMAT_JSONL, "ndjson", "JSON lines", NULL},
    {12, "parquet", "Apache Parquet", "not built yet: csv, tsv, json and jsonl are"},
    {13, "orc", "Apache ORC", "not built yet: csv, tsv, json and jsonl are"},
    {14, "avro", "Apache Avro", "not built yet: csv, tsv, json and jsonl are"},
    {15, "arrow", "Arrow IPC", "not built yet: csv, tsv, json and jsonl are"},
    {FILES_FORMAT_BINARY, "binary", "Files as they are, from a folder to a folder", NULL},
    {0, NULL, NULL, NULL}};

static const struct wh_enum compressions[] = {
    {FILES_COMPRESSION_AUTO, "auto", "By the name of the file", NULL},
    {WH_CODEC_NONE, "none", "Plain", NULL},
    {WH_CODEC_GZIP, "gzip", "gzip, RFC 1952", NULL},
    {WH_CODEC_GZIP, "gz", "gzip", NULL},
    {WH_CODEC_ZSTD, "zstd", "Zstandard, RFC 8878", NULL},
    {WH_CODEC_ZSTD, "zst", "Zstandard", NULL},
    {WH_CODEC_BZIP2, "bzip2", "bzip2", NULL},
    {WH_CODEC_BZIP2, "bz2", "bzip2", NULL},
    {WH_CODEC_LZ4, "lz4", "LZ4 frames", NULL},
    {WH_CODEC_DEFLATE, "deflate", "zlib streams, RFC 1950; read only", NULL},
    {WH_CODEC_SNAPPY, "snappy", "Snappy, framed; Hadoop's framing is read too", NULL},
    {WH_CODEC_SNAPPY, "sz", "Snappy", NULL},
    {WH_CODEC_ZIP, "zip", "An archive; read only", NULL},
    {FILES_COMPRESSION_TAR, "tar", "An archive, packed or not; read only", NULL},
    {0, NULL, NULL, NULL}};

static const struct wh_enum headers[] = {
    {WH_CSV_HEADER_AUTO, "auto", "If the first line has names and no values", NULL},
    {WH_CSV_HEADER_YES, "yes", "The first line has the names", NULL},
    {WH_CSV_HEADER_NO, "no", "Columns are c1, c2 ...", NULL},
    {WH_CSV_HEADER_YES, "true", "yes", NULL},
    {WH_CSV_HEADER_NO, "false", "no", NULL},
    {WH_CSV_HEADER_NO, "none", "no", NULL},
    {0, NULL, NULL, NULL}};

static const struct wh_enum unknown_fields[] = {
    {FILES_UNKNOWN_REJECT, "reject", "A dirty row", NULL},
    {FILES_UNKNOWN_DROP, "drop", "Passed over", NULL},
    {0, NULL, NULL, NULL}};

static const struct wh_enum twice[] = {
    {FILES_TWICE_ONCE, "once", "It is read once, and the plan says so", NULL},
    {FILES_TWICE_CONTENT, "content", "So is a file with the same bytes as another one", NULL},
    {FILES_TWICE_KEEP, "keep", "It is read as often as it is named", NULL},
    {FILES_TWICE_FAIL, "fail", "Refused", NULL},
    {0, NULL, NULL, NULL}};

static const struct wh_enum missing_from[] = {
    {FILES_MISSING_FAIL, "fail", "Refused", NULL},
    {FILES_MISSING_SKIP, "skip", "Passed over, and the plan says so", NULL},
    {0, NULL, NULL, NULL}};

static const struct wh_enum missing_to[] = {{FILES_MISSING_MAKE, "make", "It is made", NULL},
                                            {FILES_MISSING_FAIL, "fail", "Refused", NULL},
                                            {0, NULL, NULL, NULL}};

static const struct wh_enum md5_from[] = {
    {FILES_MD5_OFF, "off", "Sums are not looked at", NULL},
    {FILES_MD5_CHECK, "check", "Files that have a sum must fit it", NULL},
    {FILES_MD5_REQUIRE, "require", "Each file must have a sum and fit it", NULL},
    {0, NULL, NULL, NULL}};

static const struct wh_enum md5_to[] = {
    {FILES_MD5_OFF, "off", "None", NULL},
    {FILES_MD5_MD5, "md5", "MD5, as md5sum writes it", NULL},
    {FILES_MD5_MD5, "true", "md5", NULL},
    {FILES_MD5_SHA256, "sha256", "SHA-256, as sha256sum writes it", NULL},
    {0, NULL, NULL, NULL}};

static const struct wh_enum line_ends[] = {{0, "lf", "Line feed", NULL},
                                           {1, "crlf", "Carriage return and line feed", NULL},
                                           {0, NULL, NULL, NULL}};

static const struct wh_option connection_rows[] = {
    WH_OPT_STR(struct wh_local_options, root, .flags = WH_OPT_PATH,
               .help = "Folder that relative paths start from"),
    WH_OPT_END};
const struct wh_options files_connection_table = {connection_rows, sizeof(struct wh_local_options),
                                                  "file connection"};

#define FROM struct files_from
static const struct wh_option from_rows[] = {
    WH_OPT_LIST(FROM, path, .flags = WH_OPT_PATH, .help = "More files, globs or folders to read"),
    WH_OPT_ENUM(FROM, format, formats, .def = "auto", .help = "What the files hold"),
    WH_OPT_ENUM(FROM, compression, compressions, .def = "auto", .help = "How they are packed"),
    WH_OPT_STR(FROM, encoding, .help = "Charset (iconv's name); UTF-8, or UTF-16 by its mark"),
    WH_OPT_ENUM(FROM, header, headers, .def = "auto", .help = "Names in the first line"),
    WH_OPT_STR(FROM, delimiter, .def = "auto", .aliases = "separator,sep",
               .help = "Between fields: one character (or its name), up to 8, or auto"),
    WH_OPT_CHAR(FROM, quote, .def = "\"", .help = "Around fields, or none"),
    WH_OPT_CHAR(FROM, escape, .def = "none", .help = "Before a quote; none = a doubled quote"),
    WH_OPT_LIST(FROM, null_text, .aliases = "null_value,null_string",
                .help = "Unquoted texts that are NULL; unset: the empty field, and NA, NULL, \\N "
                        "and the like beside numbers and dates"),
    WH_OPT_STR(FROM, decimal, .def = ".", .help = "Decimal point: . or ,"),
    WH_OPT_LIST(FROM, include, .help = "Only files whose name matches one of these globs"),
    WH_OPT_LIST(FROM, exclude, .help = "No files whose name matches one of these globs"),
    WH_OPT_CHAR(FROM, comment, .def = "none", .help = "Lines that begin with it are no rows"),
    WH_OPT_I64(FROM, skip_lines, 0, 1000000, .def = "0", .help = "Lines before the header"),
    WH_OPT_ENUM(FROM, unknown_fields, unknown_fields, .def = "reject",
                .help = "JSON keys of no column, where no columns are named"),
    WH_OPT_STR(FROM, list, .flags = WH_OPT_PATH,
               .help = "A file with more paths, one a line, from its own folder on"),
    WH_OPT_I64(FROM, levels, 0, 64, .def = "0",
               .help = "Folders below one another that are read too; 0 = the folder alone, ** all"),
    WH_OPT_BOOL(FROM, hidden, .def = "false", .help = "Also names that begin with . or _"),
    WH_OPT_SIZE(FROM, min_size, 0, (int64_t)1 << 60, .def = "0", .help = "No smaller files"),
    WH_OPT_STR(FROM, modified_since,
               .help = "No files from before: a date, a time, or a duration before now (2d)"),
    WH_OPT_STR(FROM, modified_until, .help = "No files from then on"),
    WH_OPT_ENUM(FROM, duplicates, twice, .def = "once", .help = "A file that is named twice"),
    WH_OPT_ENUM(FROM, on_missing, missing_from, .def = "fail",
                .help = "A path, glob or list that finds nothing"),
    WH_OPT_STR(FROM, ready_file, .flags = WH_OPT_PATH,
               .help = "A file that is there when all others are complete"),
    WH_OPT_DURATION(FROM, ready_wait, 0, INT64_C(604800000), .def = "0",
                    .help = "How long ready_file is waited for; then exit 5"),
    WH_OPT_ENUM(FROM, md5, md5_from, .def = "off",
                .help = "Sums beside the files (x.md5, x.sha256, MD5SUMS) are compared first"),
    WH_OPT_STR(FROM, after_read, .def = "keep",
               .help = "When the run is closed: keep, delete, rename (to x.done), move:FOLDER"),
    WH_OPT_SECRET(FROM, encrypt, .flags = WH_OPT_REFERENCE,
                  .help = "Key of files that are encrypted: ${file:/p}, ${cred:x}, ${env:X}"),
    WH_OPT_LIST(FROM, members,
                .help = "Only members of archives whose name matches one of these globs"),
    WH_OPT_END};
const struct wh_options files_from_table = {from_rows, sizeof(FROM), "file source"};

#define TO struct files_to
static const struct wh_option to_rows[] = {
    WH_OPT_STR(TO, path, .flags = WH_OPT_PATH, .help = "File, or folder with / at its end"),
    WH_OPT_ENUM(TO, format, formats, .def = "auto", .help = "What to write"),
    WH_OPT_ENUM(TO, compression, compressions, .def = "auto", .help = "How to pack it"),
    WH_OPT_I64(TO, level, 0, 12, .def = "0", .flags = WH_OPT_ADVANCED,
               .help = "Compression level; 0 = the codec's own"),
    WH_OPT_BOOL(TO, header, .def = "true", .help = "Names in the first line"),
    WH_OPT_STR(TO, delimiter, .def = "auto", .aliases = "separator,sep",
               .help = "Between fields; auto = comma, tab for tsv"),
    WH_OPT_CHAR(TO, quote, .def = "\"", .help = "Around fields that need it, or none"),
    WH_OPT_CHAR(TO, escape, .def = "none", .help = "Before a quote; none = a doubled quote"),
    WH_OPT_STR(TO, null_text, .help = "What stands for NULL; unset = nothing"),
    WH_OPT_STR(TO, decimal, .def = ".", .help = "Decimal point: . or ,"),
    WH_OPT_STR(TO, encoding,
               .help = "Charset (iconv's name); utf-8-bom and utf-16 begin with a byte order mark"),
    WH_OPT_ENUM(TO, line_end, line_ends, .def = "lf", .help = "Between rows"),
    WH_OPT_SIZE(TO, part_size, 0, (int64_t)1 << 50, .def = "0",
                .help = "Begin a new file after so many bytes of text; 0 = one file"),
    WH_OPT_I64(TO, part_rows, 0, (int64_t)1 << 50, .def = "0",
               .help = "Begin a new file after so many rows; 0 = one file"),
    WH_OPT_STR(TO, file_name, .help = "Name of the files in a folder: {name} {n} {run}"),
    WH_OPT_BOOL(TO, success_file, .def = "false", .help = "Also make _SUCCESS in a folder"),
    WH_OPT_STR(TO, list, .flags = WH_OPT_WRITING,
               .help = "Name of a file in the folder that gets the files' names, one a "
                       "line"),
    WH_OPT_ENUM(TO, md5, md5_to, .def = "off", .flags = WH_OPT_WRITING,
                .help = "Sums beside the files: x.md5 or x.sha256"),
    WH_OPT_ENUM(TO, on_missing, missing_to, .def = "make", .flags = WH_OPT_WRITING,
                .help = "A folder that is not there"),
    WH_OPT_SECRET(TO, encrypt, .flags = WH_OPT_REFERENCE,
                  .help = "Encrypt with this key: ${file:/p}, ${cred:x}, ${env:X}"),
    WH_OPT_END};
const struct wh_options files_to_table = {to_rows, sizeof(TO), "file target"};

/* ---- checks -----------------------------------------------------------------------------------
 */

wh_status files_delimiter(const char *text, struct wh_csv_dialect *d, bool *ret_auto,
                          struct wh_error *reterr)
{
    int byte = -1;
    *ret_auto = !text || !strcmp(text, "auto");
    if (*ret_auto)
        return WH_OK;
    size_t n = strlen(text);
    if (wh_parse_char(text, &byte) && byte >= 0) {
        d->delimiter[0] = (char)byte;
        d->delimiter_n = 1;
    } else if (byte < 0 && n > 1 && n <= WH_CSV_DELIMITER_MAX && strcmp(text, "none") != 0) {
        memcpy(d->delimiter, text, n);
        d->delimiter_n = (uint8_t)n;
    } else if (!n) {
        return wh_fail(reterr, WH_E_USAGE, "E1008", "delimiter: the value is empty");
    } else {
        return wh_fail(reterr, WH_E_USAGE, "E1002",
                       "delimiter '%s': a character, its name (tab, semicolon ...), or up to 8 "
                       "characters",
                       text);
    }
    if (memchr(d->delimiter, '\n', d->delimiter_n) || memchr(d->delimiter, '\r', d->delimiter_n))
        return wh_fail(reterr, WH_E_USAGE, "E1002", "a line end cannot be the delimiter");
    return WH_OK;
}

wh_status files_decimal(const char *text, struct wh_csv_dialect *d, struct wh_error *reterr)
{
    int byte = '.';
    if (text && (!wh_parse_char(text, &byte) || (byte != '.' && byte != ',')))
        return wh_fail(reterr, WH_E_USAGE, "E1002", "decimal '%s': . or ,", text);
    d->decimal = (char)byte;
    return WH_OK;
}

static wh_status check_marks(const struct wh_csv_dialect *d, int quote, int escape, int comment,
                             bool delimiter_auto, struct wh_error *reterr)
{
    int first = delimiter_auto ? -2 : (uint8_t)d->delimiter[0];
    int marks[] = {quote, escape == quote ? -1 : escape, comment, first, '\n', '\r'};
    for (size_t i = 0; i < 3; i++)
        for (size_t k = i + 1; k < 6; k++)
            if (marks[i] >= 0 && marks[i] == marks[k])
                return wh_fail(reterr, WH_E_USAGE, "E1007",
                               "delimiter, quote, escape, comment and line end must differ");
    return WH_OK;
}

/* An option of delimited text that was set for JSON would be ignored: it is refused. Where the
 * format is told by a name, the scan or target asks again. */
static wh_status csv_only(const char *option, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_USAGE, "E1007", "%s is for csv and tsv, not for JSON", option);
    wh_error_hint(reterr, "leave it out");
    return st;
}

wh_status files_check_stdin(const struct files_from *o, struct wh_error *reterr)
{
    const char *set = !o                                               ? NULL
                      : o->md5 != FILES_MD5_OFF                        ? "md5"
                      : o->min_size                                    ? "min_size"
                      : o->modified_since                              ? "modified_since"
                      : o->modified_until                              ? "modified_until"
                      : o->after_read && strcmp(o->after_read, "keep") ? "after_read"
                      : o->members.n                                   ? "members"
                      : o->encrypt.text                                ? "encrypt"
                                                                       : NULL;
    return set ? wh_fail(reterr, WH_E_USAGE, "E1007", "%s is for files, not for standard input",
                         set)
               : WH_OK;
}

wh_status files_check_json_from(const struct files_from *o, struct wh_error *reterr)
{
    const char *set = !o                                             ? NULL
                      : o->delimiter && strcmp(o->delimiter, "auto") ? "delimiter"
                      : o->decimal && strcmp(o->decimal, ".")        ? "decimal"
                      : o->header != WH_CSV_HEADER_AUTO              ? "header"
                      : o->quote != '"'                              ? "quote"
                      : o->escape >= 0                               ? "escape"
                      : o->comment >= 0                              ? "comment"
                      : o->null_text.n                               ? "null_text"
                      : o->skip_lines                                ? "skip_lines"
                                                                     : NULL;
    return set ? csv_only(set, reterr) : WH_OK;
}

wh_status files_check_json_to(const struct files_to *o, struct wh_error *reterr)
{
    const char *set = o->delimiter && strcmp(o->delimiter, "auto") ? "delimiter"
                      : o->decimal && strcmp(o->decimal, ".")      ? "decimal"
                      : !o->header                                 ? "header"
                      : o->quote != '"'                            ? "quote"
                      : o->escape >= 0                             ? "escape"
                      : o->null_text                               ? "null_text"
                      : o->line_end                                ? "line_end"
                                                                   : NULL;
    return set ? csv_only(set, reterr) : WH_OK;
}

static wh_status not_as_is(const char *option, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_USAGE, "E1007",
                     "%s means nothing with format=binary: files go as "
                     "they are",
                     option);
    wh_error_hint(reterr, "leave it out");
    return st;
}

wh_status files_check_as_is_from(const struct files_from *o, struct wh_error *reterr)
{
    struct wh_error err = {0};
    if (files_check_json_from(o, &err) != WH_OK)
        return not_as_is("a setting of delimited text (delimiter, header, quote ...)", reterr);
    const char *set = !o                                          ? NULL
                      : o->encoding                               ? "encoding"
                      : o->compression > (int)WH_CODEC_NONE       ? "compression"
                      : o->unknown_fields != FILES_UNKNOWN_REJECT ? "unknown_fields"
                      : o->members.n                              ? "members"
                                                                  : NULL;
    return set ? not_as_is(set, reterr) : WH_OK;
}

wh_status files_check_as_is_to(const struct files_to *o, struct wh_error *reterr)
{
    struct wh_error err = {0};
    if (files_check_json_to(o, &err) != WH_OK)
        return not_as_is("a setting of delimited text (delimiter, header, quote ...)", reterr);
    const char *set = o->encoding                           ? "encoding"
                      : o->compression > (int)WH_CODEC_NONE ? "compression"
                      : o->part_size                        ? "part_size"
                      : o->part_rows                        ? "part_rows"
                      : o->file_name                        ? "file_name"
                                                            : NULL;
    return set ? not_as_is(set, reterr) : WH_OK;
}

static wh_status check_from(const struct files_from *o, struct wh_error *reterr)
{
    struct wh_csv_dialect d = wh_csv_dialect_default();
    bool any;
    const char *folder;
    enum files_after after;
    WH_TRY(files_after_parse(o->after_read, &after, &folder, reterr));
    if (o->ready_wait && !o->ready_file)
        return wh_fail(reterr, WH_E_USAGE, "E1007", "ready_wait needs ready_file");
    WH_TRY(files_delimiter(o->delimiter, &d, &any, reterr));
    WH_TRY(files_decimal(o->decimal, &d, reterr));
    WH_TRY(check_marks(&d, o->quote, o->escape, o->comment, any, reterr));
    for (size_t i = 0; i < o->null_text.n; i++)
        if (!wh_csv_add_null(&d, wh_str(o->null_text.v[i])))
            return wh_fail(reterr, WH_E_USAGE, "E1003",
                           "null_text: at most %d texts of at most %d bytes", WH_CSV_NULLS_MAX,
                           WH_CSV_NULL_TEXT_MAX);
    return WH_OK;
}

static wh_status check_to(const struct files_to *o, struct wh_error *reterr)
{
    struct wh_csv_dialect d = wh_csv_dialect_default();
    bool any;
    if (o->compression == FILES_COMPRESSION_TAR)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1014", "tar can be read, not written");
    WH_TRY(files_delimiter(o->delimiter, &d, &any, reterr));
    WH_TRY(files_decimal(o->decimal, &d, reterr));
    if (o->null_text && strlen(o->null_text) > WH_CSV_NULL_TEXT_MAX)
        return wh_fail(reterr, WH_E_USAGE, "E1003", "null_text is longer than %d bytes",
                       WH_CSV_NULL_TEXT_MAX);
    if (o->list && (strchr(o->list, '/') || files_known_name(wh_str(o->list)) ||
                    !strstr(o->list, "{name}") || strlen(o->list) > 100))
        return wh_fail(reterr, WH_E_USAGE, "E1002",
                       "list '%s': the name of a text file in the folder, with {name} for the "
                       "table: {name}.list",
                       o->list);
    if (o->file_name && strchr(o->file_name, '/'))
        return wh_fail(reterr, WH_E_USAGE, "E1002", "file_name '%s' must not hold a folder",
                       o->file_name);
    return check_marks(&d, o->quote, o->escape, -1, any, reterr);
}

wh_status files_validate(const void *connection, const void *from, const void *to,
                         struct wh_error *reterr)
{
    if (from)
        WH_TRY(check_from(from, reterr));
    if (to)
        WH_TRY(check_to(to, reterr));
    return WH_OK;
}
