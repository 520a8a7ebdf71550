# SPDX-License-Identifier: Apache-2.0
"""Words of the command line: flags, settings, objects, names, lengths, the environment."""
from table import bad

A = {'a.csv': 'id,name\n1,x\n2,y\n'}
MB = 'x' * (1 << 20)

bad('command misspelt', 'cpoy a.csv out.db', 2, 'E1009', "'cpoy'", "did you mean 'wherry copy'?")
bad('flag misspelt', 'copy a.csv out.db --mod append', 2, 'E1010', "--mod", "did you mean", files=A)
bad('flag without its value', 'copy a.csv out.db --mode', 2, 'E1002', '--mode needs a value', files=A)
bad('mode misspelt', 'copy a.csv out.db --mode apend', 2, 'E1002', "'apend'", "did you mean 'append'?", files=A)
bad('number that is none', 'copy a.csv out.db -j many', 2, 'E1002', 'many', files=A)
bad('number out of range', 'copy a.csv out.db -j 0', 2, 'E1003', '0', files=A)
bad('size without a unit', 'copy a.csv out.db --memory 64M', 2, 'E1002', '64M', 'MB', files=A)
bad('duration without a unit', 'copy a.csv out.db --max-duration 10', 2, 'E1002', '10', files=A)
bad('option misspelt', 'copy a.csv out.db --from delimeter=comma', 2, 'E1001', "delimeter", "did you mean 'delimiter'?", files=A)
bad('option of the other side', 'copy a.csv out.db --from journal_mode=wal', 2, 'E1001', 'journal_mode', files=A)
bad('option with an empty value', 'copy a.csv out.db --from delimiter=', 2, 'E1008', 'delimiter', 'none', files=A)
bad('option without =', 'copy a.csv out.db --from header', 2, 'E1002', 'header', files=A)
bad('option of a wrong type', 'copy a.csv out.db --from header=maybe', 2, 'E1002', 'maybe', files=A)
bad('option in a URL misspelt', "copy a.csv 'sqlite:out.db?journal=wal#t'", 2, 'E1001', 'journal', files=A)
bad('type misspelt', 'copy a.csv out.db --types id=integr', 2, 'E1002', "'integr' is no type", 'decimal(18,2)', files=A)
bad('type of no column', 'copy a.csv out.db --types nix=int64', 2, 'E3002', "'nix'", files=A)
bad('column that is not there', 'copy a.csv out.db --columns id,nam', 2, 'E3002', "'nam'", files=A)
bad('scheme unknown', 'copy postgersql://h/db#t out.db', 2, 'E1021', 'postgersql', "did you mean 'postgresql'?")
bad('connection unknown', 'copy shop:orders out.db', 2, 'E1022', "'shop'")
bad('connection misspelt', 'copy shpo:orders out.db', 2, 'E1022', "'shpo'", "did you mean 'shop:'?",
    files={'home/.config/wherry/connections/shop.yaml': 'type: sqlite\npath: shop.db\n'})
bad('two @ in a URL', "copy 'postgresql://u:a@b@h/db#t' out.db", 2, 'E1023', '%40', never=('a@b',))
bad('port that is none', "copy 'postgresql://u@h:port/db#t' out.db", 2, 'E1023', 'port')
bad('percent that is none', "copy 'postgresql://u%zz@h/db#t' out.db", 2, 'E1023', '%25')
bad('one argument', 'copy a.csv', 2, 'E1011', files=A)
bad('no argument', 'copy', 2, 'E1011')
bad('shell expanded a glob', 'copy in_1.csv in_2.csv', 2, None, 'in_2.csv', files={'in_1.csv': 'a\n1\n', 'in_2.csv': 'a\n2\n'},
    shows={'in_2.csv': 1})
bad('file onto itself', 'copy a.csv a.csv --mode overwrite', 2, 'E1026', 'read and written at once', files=A, shows={'a.csv': 2})
bad('file onto a file that is there', 'copy a.csv b.csv', 2, 'E1026', 'b.csv', '--mode overwrite', files={**A, 'b.csv': 'keep\nme\n'}, shows={'b.csv': 1})
bad('pattern that matches nothing', "copy 'in_*.csv' out.db", 2, 'E1028', 'in_*.csv', files=A)
bad('regular expression not closed', "copy 'a.db#/(/' out.db", 2, 'E1025', files={'a.db': ''})
bad('format unknown', 'copy a.xyz out.db', 2, 'E1024', 'a.xyz', files={'a.xyz': '1\n'})
bad('a spreadsheet', 'copy a.xlsx out.db', 2, 'E1024', 'CSV', files={'a.xlsx': b'PK\3\4'})
bad('no key for upsert', 'copy a.csv out.db --mode upsert', 2, 'E1062', '--key', files=A)
bad('replace keys without a key', 'copy a.csv out.db --mode delete-insert --replace-keys', 2, 'E1062', '--key', files=A)
bad('replace keys in another mode', 'copy a.csv out.db --replace-keys', 2, 'E1007', files=A)
bad('replace without what', 'copy a.csv out.db --mode delete-insert', 2, 'E1063', files=A)
bad('parameter unknown', 'run job.yaml --set nix=1', 2, None, "'nix'",
    files={**A, 'job.yaml': 'version: 1\nparams: { day: { type: date, default: "2024-01-01" } }\nstreams: [{ from: a.csv, to: out.db }]\n'})
bad('parameter of a wrong type', 'run job.yaml --set day=tomorrow', 2, 'E1053', 'tomorrow', 'day',
    files={**A, 'job.yaml': 'version: 1\nparams: { day: { type: date, default: "2024-01-01" } }\nstreams: [{ from: a.csv, to: out.db }]\n'})
bad('time that is none', 'copy a.csv out.db --scheduled yesterday', 2, 'E1053', '--scheduled', 'yesterday', files=A)
bad('run unknown', 'resume r-20200101-0000', 2, 'E7007', 'r-20200101-0000')
bad('code unknown', 'explain E0000', 2, None, 'E0000')
bad('folder of -C is not there', '-C nowhere copy a.csv out.db', 2, 'E2012', 'nowhere')
bad('summary in no folder', 'copy a.csv out.db --summary nowhere/s.json', 2, None, 'nowhere/s.json', files=A)
bad('events in no folder', 'copy a.csv out.db --events nowhere/e.json', 2, 'E5001', 'nowhere/e.json', files=A)
bad('log in no folder', 'copy a.csv out.db --log-file nowhere/l', 2, 'E5001', 'nowhere/l', files=A)
bad('log is a folder', 'copy a.csv out.db --log-file d', 2, 'E5001', 'd', files={**A, 'd/': ''})

# ---- lengths ----
bad('path of 1 MB', ['copy', MB[:120000], 'out.db'], 2, None, 'xxx')
bad('path of 1 MB in a job', 'run job.yaml', 2, None, 'xxx', files={'job.yaml': 'version: 1\nstreams: [{ from: ./%s.csv, to: out.db }]\n' % MB})
bad('destination of 1 MB in a job', 'run job.yaml', 2, None, 'xxx',
    files={**A, 'job.yaml': 'version: 1\nstreams: [{ from: a.csv, to: ./%s.csv }]\n' % MB})
bad('table name of 1 MB', 'run job.yaml', 2, None, 'xxx',
    files={**A, 'job.yaml': 'version: 1\nstreams: [{ from: a.csv, to: "out.db#%s" }]\n' % MB})
bad('where of 1 MB', 'run job.yaml', 2, None, '', files={**A, 'job.yaml': 'version: 1\nstreams: [{ from: a.csv, to: out.db, where: "%s" }]\n' % MB})
bad('100,000 arguments', ['copy'] + ['a%d.csv' % i for i in range(100000)] + ['out.db'], 2, 'E1011', 'a0.csv', '100000')
bad('100,000 arguments that are no option', ['copy', 'a.csv', 'out.db'] + ['-x%d' % i for i in range(100000)], 2, 'E1010', 'unknown flag -x', ' more', files=A)

# ---- the environment ----
bad('variable of a setting with garbage', 'copy a.csv out.db', 2, 'E1002', 'WHERRY_MODE', files=A, env={'WHERRY_MODE': 'gar\tbage'})
bad('variable of a number with garbage', 'copy a.csv out.db', 2, 'E1002', 'WHERRY_PARALLEL', files=A, env={'WHERRY_PARALLEL': '\x1b[31m'})
bad('variable misspelt', 'copy a.csv out.db', 0, None, 'WHERRY_MOD', files=A, env={'WHERRY_MOD': 'append'}, left=('out.db',),
    shows={'out.db#a': 2})
bad('TZ with garbage', 'copy a.csv out.db', 0, None, files=A, env={'TZ': '../../../etc/passwd'}, left=('out.db',), shows={'out.db#a': 2})
bad('LC_ALL with garbage', 'copy a.csv out.db', 0, None, files=A, env={'LC_ALL': 'xx_YY.nix'}, left=('out.db',), shows={'out.db#a': 2})
bad('HOME is a file', 'copy a.csv out.db', 2, 'E7001', '/dev/null', '--state', files=A, env={'HOME': '/dev/null'})

# ---- names ----
for what, name in (('quotes', "a'b\"c"), ('a dot', 'a.b'), ('spaces', ' a  b '), ('emoji', 'a😀b'), ('a newline', 'a\nb'),
                   ('a percent sign', 'a%20b'), ('a backslash', 'a\\b'), ('a star', 'a*b'), ('a bracket', 'a[b'), ('a dash', '-a'),
                   ('not UTF-8', 'a\udcffb')):
    f = './' + name + '.csv'
    if what == 'not UTF-8':
        bad('file name with ' + what, ['copy', f, 'out.db#t'], 2, 'E1020', 'not valid UTF-8', files={f[2:]: 'id\n1\n2\n'})
        continue
    bad('file name with ' + what, ['copy', f, 'out.db#t'], 0, None, files={f[2:]: 'id\n1\n2\n'}, left=('out.db',), shows={'out.db#t': 2})
    bad('file name with ' + what + ', not there', ['copy', f, 'out.db#t'], 2, 'E1028' if '*' in f or '[' in f else 'E4001')
    bad('table name with ' + what, ['copy', 'a.csv', 'out.db#"%s"' % name.replace('"', '""')], 0, None, files=A, left=('out.db',),
        shows={'out.db#' + name: 2})
