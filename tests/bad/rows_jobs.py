# SPDX-License-Identifier: Apache-2.0
"""Job files: not there, not text, too big, of the wrong kind; and the traps of INTERFACE section 8."""
import os
import signal
import time

import harness
from table import bad

A = {'a.csv': 'id,name\n1,x\n2,y\n'}
HEAD = 'version: 1\n'
GOOD = HEAD + 'streams: [{ from: a.csv, to: out.db }]\n'


def job(text, **more):
    return {**A, 'job.yaml': text, **more}


def stream(**keys):
    return HEAD + 'streams:\n  - from: a.csv\n    to: out.db\n' + ''.join('    %s: %s\n' % k for k in keys.items())


def lines(where):
    """Before the message stands where: file:line:column."""
    return 'job.yaml:%s' % where


# ---- the file ----
bad('job missing', 'run job.yaml', 2, 'E1030', 'job.yaml', 'No such file')
bad('job is an empty folder', 'run job.yaml', 2, 'E1030', 'job.yaml', files={'job.yaml/': ''})
bad('job may not be read', 'run job.yaml', 2, 'E1030', 'Permission denied', files=job(GOOD), make=lambda w: os.chmod(w.path('job.yaml'), 0), no_root=True)


def waits_for_a_writer(w):
    os.mkfifo(w.path('fifo'))
    p = w.start()
    time.sleep(0.5)
    p.send_signal(signal.SIGINT)
    return harness.finish(p, 5)


bad('job is a pipe without a writer', 'run fifo', 130, None, 'interrupted', act=waits_for_a_writer, open=False, left=('fifo',))
bad('job from a pipe', 'run -', 0, None, files=A, stdin=GOOD.encode(), left=('out.db',), shows={'out.db#a': 2})
bad('job from an empty pipe', 'run -', 2, 'E1041', 'empty', stdin=b'')
bad('job of no bytes', 'run job.yaml', 2, 'E1041', 'empty', files=job(''))
bad('job of comments', 'run job.yaml', 2, 'E1041', 'empty', files=job('# nothing\n'))
bad('job of 50 MB', 'run job.yaml', 2, 'E1040', 'job.yaml', '16 MiB', files=job(GOOD + '# x\n' * (13 << 20)), peak_mb=64)
bad('job is a device', 'run /dev/zero', 2, 'E1040', '/dev/zero', '16 MiB', peak_mb=64)
bad('job is a database', 'run job.yaml', 2, 'E1031', 'job.yaml', 'UTF-8', files=job(b'SQLite format 3\0' + bytes(range(256)) * 16))
bad('job with a BOM', 'run job.yaml', 0, None, files=job(b'\xef\xbb\xbf' + GOOD.encode()), left=('out.db',), shows={'out.db#a': 2})
bad('job in UTF-16', 'run job.yaml', 2, 'E1031', 'job.yaml', 'UTF-8', files=job(GOOD.encode('utf-16')))
bad('job in UTF-16 without a mark', 'run job.yaml', 2, None, 'job.yaml', 'UTF-8', files=job(GOOD.encode('utf-16-le')))
bad('job in Latin-1', 'run job.yaml', 2, 'E1031', 'job.yaml', 'UTF-8', files=job(GOOD.encode() + b'description: caf\xe9\n'))
bad('job with a NUL', 'run job.yaml', 2, 'E1031', 'job.yaml:3', files=job(GOOD + 'description: a\0b\n'))
bad('job with CRLF', 'run job.yaml', 0, None, files=job(GOOD.replace('\n', '\r\n')), left=('out.db',), shows={'out.db#a': 2})
bad('JSON job cut off', 'run job.json', 2, 'E1032', 'job.json:1', files={**A, 'job.json': '{"version": 1, "streams": ['})
bad('JSON job with a comma too much', 'run job.json', 2, 'E1032', 'job.json:1', files={**A, 'job.json': '{"version": 1, "streams": [],}'})
bad('JSON job of deep brackets', 'run job.json', 2, 'E1040', 'job.json', '64', files={**A, 'job.json': '[' * 200000})
bad('job of deep brackets', 'run job.yaml', 2, 'E1040', 'job.yaml', '64', files=job('[' * 200000), seconds=30)
bad('job of deep maps', 'run job.yaml', 2, 'E1040', 'job.yaml', '64', files=job(HEAD + ''.join(' ' * i + 'x-a:\n' for i in range(500))))
bad('job that is a bomb of aliases', 'run job.yaml', 2, 'E1035', 'job.yaml', 'alias', peak_mb=64, files=job(
    HEAD + 'x-a: &a [x,x,x,x,x,x,x,x,x]\n' + ''.join('x-%s: &%s [%s]\n' % (c, c, ','.join(['*' + chr(ord(c) - 1)] * 9)) for c in 'bcdefghij')))
bad('job with an alias in itself', 'run job.yaml', 2, 'E1035', 'job.yaml:2:10', files=job(HEAD + 'x-a: &a [*a]\nstreams: [{ from: a.csv, to: out.db }]\n'))

# ---- its words ----
bad('job key misspelt', 'run job.yaml', 2, 'E1001', lines('2:1'), "'stream'", "did you mean 'streams'?", files=job(HEAD + 'stream: []\n'))
bad('stream key misspelt', 'run job.yaml', 2, 'E1001', lines('5:5'), "'colums'", "did you mean 'columns'?", files=job(stream(colums='[id]')))
bad('key of another level', 'run job.yaml', 2, 'E1001', lines('5:5'), "'keys'", files=job(stream(keys='[id]')))
bad('option misspelt in a job', 'run job.yaml', 2, 'E1001', lines('2:'), "did you mean 'delimiter'?",
    files=job(HEAD + "streams: [{ from: { path: a.csv, delimeter: ',' }, to: out.db }]\n"))
CONN = "version: 1\nconnections: { there: { type: file, root: out, %s } }\nstreams:\n  - { from: a.csv, to: 'there:b.csv' }\n"
bad('setting of a connection misspelt', 'run job.yaml', 2, 'E1001', "'rooot' of connection there", "did you mean 'root'?", files={**A, 'job.yaml': CONN % 'rooot: x'})
bad('a connection that would encrypt', 'run job.yaml', 2, 'E1001', "'encrypt' of connection there", 'in from or to', files={**A, 'job.yaml': CONN % "encrypt: '${file:k}'"})
bad('all problems at once', 'run job.yaml', 2, 'E1001', lines('5:5'), lines('6:5'), lines('7:5'), files=job(stream(colums='[id]', wher='x', dirt='1')))
bad('streams is a number', 'run job.yaml', 2, 'E1041', lines('2:10'), files=job(HEAD + 'streams: 5\n'))
bad('streams is empty', 'run job.yaml', 2, 'E1041', lines('2:10'), files=job(HEAD + 'streams: []\n'))
bad('stream is a text', 'run job.yaml', 2, 'E1041', lines('2:11'), files=job(HEAD + 'streams: [a.csv]\n'))
bad('write is a text', 'run job.yaml', 2, 'E1041', lines('5:12'), files=job(stream(write='upsert')))
bad('keys is a map', 'run job.yaml', 2, 'E1041', lines('5:34'), files=job(stream(write='{ mode: upsert, keys: { a: b } }')))
bad('parallel is a word', 'run job.yaml', 2, 'E1002', lines('5:'), "'many'", files=job(stream() + 'run: { parallel: many }\n'))
bad('version is of the future', 'run job.yaml', 2, 'E1043', lines('1:10'), files=job(GOOD.replace('version: 1', 'version: 99')))
bad('two streams of one name', 'run job.yaml', 2, 'E1042', "'x'", files=job(HEAD + 'streams:\n- { name: x, from: a.csv, to: out.db }\n- { name: x, from: a.csv, to: o.db }\n'))
bad('two streams into one table', 'run job.yaml', 2, 'E1042', 'out.db#a', files=job(HEAD + 'streams:\n- { name: x, from: a.csv, to: out.db }\n- { name: y, from: a.csv, to: out.db }\n'))
bad('one stream of two is wrong', 'run job.yaml', 2, 'E4001', "'b.csv'", files=job(HEAD + 'streams:\n- { from: a.csv, to: out.db }\n- { from: b.csv, to: out.db }\n'),
    shows={'out.db#a': None})
bad('macro unknown', 'run job.yaml', 2, 'E1050', 'bizdat', files=job(HEAD + "streams: [{ from: 'a_${bizdat}.csv', to: out.db }]\n"))
bad('variable of a macro not set', 'run job.yaml', 2, 'E1055', 'NIX', files=job(HEAD + "streams: [{ from: 'a_${env:NIX}.csv', to: out.db }]\n"))
bad('time zone unknown', 'run job.yaml', 2, 'E1002', 'Mars/Olympus', files=job(GOOD + 'timezone: Mars/Olympus\n'))
bad('what is not here yet', 'run job.yaml', 2, 'E1014', lines('3:1'), "'schedule'", 'cron', files=job(GOOD + "schedule: { cron: '0 2 * * *' }\n"))

# ---- traps of section 8 that YAML lays (the other ones: README.md) ----
for name, text, code, words in (
        ('a comment in SQL', stream(where='a = 1 # b'), 'E1036', ('5:12', '# b')),
        ('a tag', stream(query='!sql select 1'), 'E1034', ('5:12', '!sql')),
        ('a block of text where a bar is meant', HEAD + 'streams:\n  - from:\n      path: a.csv\n      delimiter: |\n    to: out.db\n', 'E1037', ("'|'",)),
        ('an empty value', HEAD + 'streams:\n  - from:\n      path: a.csv\n      delimiter:\n    to: out.db\n', 'E1008', ('4:', 'delimiter')),
        ('a name template without quotes', HEAD + 'streams: [{ from: a.csv, to: {source.table} }]\n', 'E1037', ("'{source.table}'",)),
        ('two items where one is meant', stream(columns='[{ from: a, convert: [mask(3,4)] }]'), 'E1037', ("'mask(3,4)'",)),
        ('a macro in braces', HEAD + 'streams: [{ from: ${env:X}, to: out.db }]\n', 'E1037', ("'${...}'",)),
        ('a star without quotes', HEAD + 'streams: [{ from: { conn: a, table: *_bak }, to: out.db }]\n', 'E1035', ("'*_bak'",)),
        ('a second document', GOOD + '---\n' + GOOD, 'E1039', ('3:1',)),
        ('a tab', HEAD + 'streams:\n\t- from: a.csv\n', 'E1031', ('3:1', 'spaces')),
        ('a query from a file without quotes', stream(query='@q.sql'), 'E1037', ("'@q.sql'",)),
        ('a full-width colon', 'version： 1\n', 'E1038', ('1:1',)),
        ('curly quotes', HEAD + 'streams: [{ from: “a.csv”, to: out.db }]\n', 'E1038', ('2:',)),
        ('null as a destination', HEAD + 'streams: [{ from: a.csv, to: null }]\n', 'E1037', ("'null:'",)),
        ('a key given twice', GOOD + 'version: 1\n', 'E1033', ('3:1', 'line 1'))):
    bad('trap: ' + name, 'run job.yaml', 2, code, *words, files=job(text))

# ---- traps that shells lay ----
bad('trap: an empty macro', "copy 'a${env:NIX:-}' out.db", 2, 'E4001', "'a'", files=A)
bad('trap: a variable that is not set', ['copy', 'a.csv', 'out.db', '--where', ''], 2, 'E1008', '--where', files=A)
bad('trap: an empty argument', ['copy', '', 'out.db'], 2, 'E1008', files=A)
bad('trap: & cut the URL', "copy 'sqlite:a.db?journal_mode=wal,synchronous=' out.csv", 2, 'E1008', 'synchronous', files=A)
bad('trap: types without quotes', 'copy a.csv out.db --types id=decimal 18,2', 2, 'E1011', 'single quotes', files=A)

# ---- traps of time ----
bad('trap: a time without a zone into one with', 'copy a.csv b.db#t', 2, 'E3011', "say 'timezone'",
    files={'a.csv': 'at\n2024-01-01 00:00:00\n', 'z.csv': 'at\n2024-01-01 00:00:00Z\n'}, make=lambda w: w.run('copy z.csv b.db#t --types at=timestamp(us,utc)', plain=True), left=('b.db',))
