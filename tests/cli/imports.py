# SPDX-License-Identifier: Apache-2.0
"""wherry import: job files of other programs. Red when what they say is dropped in silence."""
import json
import os
import sqlite3

import harness
import yaml


def put(place, name, text):
    with open(place.path(name), 'w', encoding='utf-8') as f:
        f.write(text if isinstance(text, str) else json.dumps(text))


def read(place, name):
    with open(place.path(name), encoding='utf-8') as f:
        text = f.read()
    return text, yaml.safe_load(text)


def database(kind, table, side, **more):
    url = 'jdbc:%s://db1:5432/shop' % kind
    where = {'table': table, 'jdbcUrl': [url] if side == 'reader' else url}
    return {'name': {'postgresql': 'postgresql', 'mysql': 'mysql'}[kind] + side,
            'parameter': dict({'username': 'u', 'password': 'geheim', 'connection': [where]}, **more)}


def job(reader, writer, transformer=None, **setting):
    content = {'reader': reader, 'writer': writer}
    if transformer:
        content['transformer'] = transformer
    return {'job': {'setting': setting, 'content': [content]}}


def notes(text):
    return [line[len('# not translated: '):] for line in text.splitlines() if line.startswith('# not translated: ')]


def datax(t):
    """Red when a setting of a DataX job is neither translated nor named, or a password is copied."""
    place = harness.Place('datax')
    put(place, 'a.json', job(
        database('postgresql', ['sales.orders'], 'reader', column=['id', '"Name"', 'at'], splitPk='id',
                 where="at >= '${bizdate}'", fetchSize=99, session=['set x=1']),
        database('postgresql', ['ods.orders'], 'writer', column=['id', 'buyer', 'at'],
                 preSql=["DELETE FROM ods.orders WHERE day = '${bizdate}' ;", 'select 1'], postSql=['analyze']),
        [{'name': 'dx_filter'}], speed={'channel': 3, 'byte': 1048576, 'record': -1}, errorLimit={'record': 5, 'percentage': 0.02}))
    code, out, err = place.run('import', 'datax', 'a.json', '-o', 'jobs')
    text, doc = read(place, 'jobs/a.yaml')
    t.check(code == 0 and out == '' and 'wrote jobs/a.yaml' in err, 'written', err)
    t.check('geheim' not in text + err, 'no password is copied')
    s = doc['streams'][0]
    t.check(s['from'] == {'conn': 'reader', 'schema': 'sales', 'table': 'orders'} and
            s['to'] == {'conn': 'writer', 'schema': 'ods', 'table': 'orders'}, 'both ends', s)
    t.check(s['columns'] == ['id', {'from': 'Name', 'to': 'buyer'}, 'at'], 'columns by their place', s)
    t.check(s['where'] == "at >= '${bizdate}'" and doc['params']['bizdate']['type'] == 'text', 'a variable is a parameter', doc)
    t.check(s['write'] == {'mode': 'delete-insert', 'replace': {'where': "day = '${bizdate}'"}}, 'preSql that deletes', s)
    t.check(s['split'] == {'by': 'id'} and str(s['dirty']['rows']) == '5' and s['dirty']['ratio'] == '0.02', 'split, limit', s)
    t.check(str(doc['run']['parallel']) == '3' and doc['run']['limits'] == {'rate': '1048576B/s'}, 'speed', doc['run'])
    left = notes(text)
    for word in ('select 1', 'analyze', 'reader.parameter.session', 'dx_filter'):
        t.check(any(word in n for n in left) and 'a.json: not translated: ' in err and word in err, word + ' is named', left)
    t.check(len(left) == 4, 'and nothing else', left)
    code, _, err = place.run('config', 'jobs/a.yaml', '--set', 'bizdate=2024-01-01')
    t.check(code == 0, 'our reader takes the file', err)
    # Tables that are shards, columns that are expressions, modes of MySQL, a statement instead of a table.
    put(place, 'b.json', job(database('mysql', ['t_[08-11]', 'x'], 'reader', column=['*']),
                             database('mysql', ['t'], 'writer', column=['*'], writeMode='update')))
    put(place, 'c.json', job(database('mysql', ['t'], 'reader', column=['id', 'upper(n) AS m'], where='id > 1'),
                             database('mysql', ['t'], 'writer', column=['a', 'b'], writeMode='replace', preSql=['truncate table t'])))
    query = database('mysql', None, 'reader')
    query['parameter']['connection'][0] = {'querySql': ['select 1 as a'], 'jdbcUrl': ['jdbc:mysql://h/d']}
    put(place, 'd.json', job(query, {'name': 'streamwriter', 'parameter': {'print': False}}))
    code, out, err = place.run('import', 'datax', 'b.json', 'c.json', 'd.json', '-o', 'jobs', '--json')
    t.check(code == 0 and [json.loads(x)['job'] for x in out.splitlines()] == ['jobs/%s.yaml' % x for x in 'bcd'], '--json', out + err)
    _, b = read(place, 'jobs/b.yaml')
    t.check(b['streams'][0]['from']['table'] == ['t_08', 't_09', 't_10', 't_11', 'x'] and b['streams'][0]['merge'] == 'same' and
            b['streams'][0]['write'] == {'mode': 'upsert'}, 'shards', b)
    _, c = read(place, 'jobs/c.yaml')
    t.check(c['streams'][0]['query'] == 'select id as a, upper(n) as b from t where id > 1' and 'columns' not in c['streams'][0],
            'expressions', c)
    _, d = read(place, 'jobs/d.yaml')
    t.check(d['streams'][0]['query'] == 'select 1 as a' and d['streams'][0]['to'] == {'object': 'null:'}, 'a statement', d)
    place.remove()


def datax_moves(t):
    """Red when an imported job does not move what the first one said."""
    place = harness.Place('datax-moves')
    os.mkdir(place.path('in'))
    put(place, 'in/1.csv', 'a;b;c\n1;2024-01-02 03:04:05;"x;y"\n2;\\N;\n')
    put(place, 'j.json', job(
        {'name': 'txtfilereader', 'parameter': {'path': ['in/*.csv'], 'encoding': 'UTF-8', 'fieldDelimiter': ';', 'skipHeader': 'true',
         'column': [{'index': 0, 'type': 'long'}, {'index': 2, 'type': 'string'}, {'type': 'string', 'value': 'v'},
                    {'index': 1, 'type': 'date'}]}},
        {'name': 'rdbmswriter', 'parameter': {'column': ['a', 'b', 'c', 'd'], 'connection': [{'jdbcUrl': 'jdbc:sqlite:o.db', 'table': ['t']}]}},
        errorLimit={'record': 0}))
    code, out, err = place.run('import', 'datax', 'j.json')
    t.check(code == 0 and out.startswith('# Made by wherry import datax') and err == '', 'to standard output', err)
    put(place, 'j.yaml', out)
    code, _, err = place.run('run', 'j.yaml')
    rows = sqlite3.connect(place.path('o.db')).execute('select a, b, c, d from t order by a').fetchall()
    t.check(code == 0 and rows == [(1, 'x;y', 'v', '2024-01-02 03:04:05'), (2, '', 'v', None)], 'the rows', '%s\n%s' % (err, rows))
    put(place, 'k.json', job({'name': 'txtfilereader', 'parameter': {'path': 'in/1.csv', 'fieldDelimiter': ';', 'column': ['*']}},
                             {'name': 'txtfilewriter', 'parameter': {'path': 'out', 'fileName': 'x', 'writeMode': 'truncate', 'compress': 'gzip'}}))
    code, out, err = place.run('import', 'datax', 'k.json')
    put(place, 'k.yaml', out)
    code, _, err = place.run('run', 'k.yaml')
    t.check(code == 0 and os.path.exists(place.path('out', 'x.csv.gz')), 'files', out + err)
    place.remove()


def cdm_values(**values):
    return {'configs': [{'name': 'c', 'inputs': [{'name': 'c.' + k, 'value': v} for k, v in values.items()]}]}


def cdm(t):
    """Red when a setting of a CDM job is neither translated nor named."""
    place = harness.Place('cdm')
    put(place, 'c.json', {'jobs': [{
        'name': 'orders', 'from-link-name': 'shop', 'to-link-name': 'dw', 'from-connector-name': 'generic-jdbc-connector',
        'from-config-values': cdm_values(schemaName='sales', tableName='orders', columnList='id&name', partitionColumn='id',
                                         whereClause='day = \'${dateformat(yyyyMMdd,-1,DAY)}\'', usePartition='false', odd='kept'),
        'to-config-values': cdm_values(schemaName='ods', tableName='orders', columnList='id&buyer', beforeImportType='shouldClearTable',
                                       useStageTable='true', tablePreparation='DO_NOTHING', extendCharLength='true'),
        'driver-config-values': cdm_values(numExtractors='4', maxErrorRecords='7', isSchedulerJob='true', cycle='1', cycleType='day',
                                           startDate='2024-01-01')}]})
    place.run('conn', 'add', 'shop', 'postgresql://etl@db1.example/shop')
    place.run('conn', 'add', 'dw', 'sqlite:dw.db')
    code, _, err = place.run('import', 'cdm', 'c.json', '-o', '.')
    text, doc = read(place, 'c.yaml')
    s = doc['streams'][0]
    t.check(code == 0 and s['from'] == {'conn': 'shop', 'schema': 'sales', 'table': 'orders'} and s['name'] == 'orders', 'source', s)
    t.check(s['columns'] == ['id', {'from': 'name', 'to': 'buyer'}] and s['split'] == {'by': 'id'}, 'columns', s)
    t.check(s['where'] == 'day = \'${dateformat(yyyyMMdd,-1,DAY)}\'' and 'params' not in doc, 'macros are ours as well', doc)
    t.check(s['write'] == {'mode': 'overwrite'} and s['table'] == {'create': 'never'}, 'a stage table is an overwrite', s)
    t.check(str(s['dirty']['rows']) == '7' and str(doc['run']['parallel']) == '4' and 'day from 2024-01-01' in text, 'driver', text)
    left = notes(text)
    t.check(any('c.odd = kept' in n for n in left) and any('extendCharLength' in n for n in left), 'what is left', left)
    code, _, err = place.run('config', 'c.yaml')
    t.check(code == 0 or 'E10' in err, 'read or refused by name', err)
    put(place, 'f.json', {'jobs': [{'name': 'f', 'from-link-name': 'obs', 'to-link-name': 'dw',
                                    'from-config-values': cdm_values(bucketName='b', inputDirectory='/in/', inputFormat='CSV_FILE',
                                                                     firstRowAsHeader='true', fieldSeparator=';'),
                                    'to-config-values': cdm_values(tableName='t')}]})
    code, out, err = place.run('import', 'cdm', 'f.json')
    f = yaml.safe_load(out)['streams'][0]['from']
    t.check(code == 0 and f['path'] == '/in/' and f['bucket'] == 'b' and f['header'] == 'yes' and f['delimiter'] == ';' and
            "'obs'" in err, 'files; a link that nobody keeps is named', out + err)
    place.remove()


def sling(t):
    """Red when a stream of a replication is dropped in silence, or a mode means something else."""
    place = harness.Place('sling')
    place.run('conn', 'add', 'SRC', 'sqlite:src.db')
    place.run('conn', 'add', 'DST', 'sqlite:dst.db')
    db = sqlite3.connect(place.path('src.db'))
    db.executescript('create table a(id integer primary key, v text); insert into a values(1, \'x\'); create table b as select * from a;')
    db.close()
    put(place, 'r.yaml', 'source: SRC\ntarget: DST\nenv: { X: 1 }\ndefaults: { mode: full-refresh, object: \'{stream_table}_copy\' }\n'
        'streams:\n  a:\n  b: { mode: incremental, primary_key: [id], select: [id, v], source_options: { limit: 1 } }\n'
        '  c: { disabled: true }\n  d: { mode: incremental, update_key: ts }\n')
    code, out, err = place.run('import', 'sling', 'r.yaml', '-o', 'jobs')
    text, doc = read(place, 'jobs/r.yaml')
    t.check(code == 0 and [s['from'] for s in doc['streams']] == ['SRC:a', 'SRC:b'], 'streams', text)
    t.check([s['write']['mode'] for s in doc['streams']] == ['overwrite', 'upsert'] and doc['streams'][1]['write']['keys'] == ['id'] and
            doc['streams'][0]['to'] == 'DST:{source.table}_copy', 'modes and names', text)
    t.check(sorted(n.split(':')[0] for n in notes(text)) == ['b', 'd', 'env'] and 'c was disabled' in text, 'what is left', notes(text))
    db = sqlite3.connect(place.path('dst.db'))
    db.executescript('create table b_copy(id integer primary key, v text); insert into b_copy values(1, \'old\'), (2, \'stays\');')
    code, _, err = place.run('run', 'jobs/r.yaml')
    t.check(code == 0 and db.execute('select * from a_copy').fetchall() == [(1, 'x')] and
            db.execute('select * from b_copy order by id').fetchall() == [(1, 'x'), (2, 'stays')], 'it runs', err)
    place.remove()


def refused(t):
    """Red when a file of which nothing can be made ends well, or an existing job is written over."""
    place = harness.Place('import-refused')
    put(place, 'x.json', '{"job": {"content": [{"reader": {"name": "odpsreader", "parameter": {}}, "writer": {}}]}}')
    put(place, 'y.json', '{')
    put(place, 'z.json', '[]')
    code, out, err = place.run('import', 'datax', 'x.json', '-o', 'jobs')
    t.check(code == 2 and 'E1071' in err and 'odpsreader' in err and os.listdir(place.path('jobs')) == [], 'an unknown reader', err)
    for words, want in ((['datax', 'y.json'], 'E1032'), (['datax', 'z.json'], 'E1071'), (['datax', 'no.json'], 'E1030'), ([], 'E1011'),
                        (['dtax', 'x.json'], "did you mean 'import datax'"), (['datax'], 'E1011'), (['cdm', 'x.json'], 'E1071'),
                        (['datax', 'x.json', 'y.json'], '-o DIR'), (['sling', 'x.json'], 'E1071')):
        code, out, err = place.run('import', *words)
        t.check(code == 2 and want in err and out == '', words, '%s %s' % (code, err))
    put(place, 'ok.json', job(database('postgresql', ['t'], 'reader', column=['*']), {'name': 'streamwriter', 'parameter': {}}))
    put(place, 'jobs/ok.yaml', 'mine')
    code, out, err = place.run('import', 'datax', 'ok.json', 'x.json', '-o', 'jobs')
    t.check(code == 2 and 'E1012' in err and read(place, 'jobs/ok.yaml')[0] == 'mine', 'never over a job', err)
    code, out, err = place.run('import', 'datax', 'ok.json', '-o', 'jobs', '--yes')
    t.check(code == 0 and 'streams' in read(place, 'jobs/ok.yaml')[0], 'but with consent', err)
    place.remove()


def not_here(t):
    """Red when a command of another version is called unknown, or the way round it is not named."""
    place = harness.Place('not-here')
    for word, why, instead in (('serve', 'no server', 'cron'), ('worker', 'threads', '-j N'), ('submit', 'Slurm', 'wherry run JOB')):
        for words in ([word], [word, '--run', 'r-1'], ['help', word]):
            code, out, err = place.run(*words)
            t.check(code == 2 and 'E1014' in err and why in err and instead in err and out == '', words, err)
    for word in ('set', 'reset', 'move'):
        code, out, err = place.run('state', word, 'job')
        t.check(code == 2 and 'E1014' in err and 'incremental' in err, ['state', word], err)
    code, out, err = place.run('server')
    t.check(code == 2 and 'E1009' in err, 'an unknown one', err)
    place.remove()
