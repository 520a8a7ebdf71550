# SPDX-License-Identifier: Apache-2.0
"""What stands on a real terminal (tmux): blocks drawn over, narrow and changing windows, jobs of the shell, colour,
passwords that are not shown, wide characters."""
import os
import re
import signal
import time

import harness
from steer import SLOW, rows, run_of
from terminal import Terminal

# --memory: a sanitizer's own is many times that of the program.
COPY = "wherry copy '%s' '%s' --rate 2MB/s --memory 2GB" % tuple(SLOW[:2])


def block(text):
    """How many blocks of progress stand there."""
    return len(re.findall(r'^ *\d+ %  [\d,]+ read', text, re.M))


def started(t, place, width, height=30, command=COPY, **env):
    term = Terminal(place, 'sh', width=width, height=height, env=env)
    term.type(command + '; echo co""de $?')
    term.key('Enter')
    return term


def finish(t, term, place, what):
    """Lets the run go and waits for its end; the last screen."""
    place.run('limit', run_of(place), '--rate', 'none')
    text, ok = term.wait(lambda s: re.search(r'^code 0', s, re.M), 60)
    t.check(ok and block(text) == 0 and 'exit 0' in text and rows(place) == 400000, what, text)
    return text


def narrow(t):
    """Red when a narrow window, or one made narrower or wider under way, keeps pieces of older blocks."""
    place = harness.Place('narrow')
    term = started(t, place, 40)
    text, ok = term.wait(lambda s: block(s) == 1)
    t.check(ok, '40 columns: a block', text)
    time.sleep(1.2)
    t.check(block(term.screen()) == 1 and max(map(len, text.splitlines())) <= 40, 'drawn over in 40 columns', term.screen())
    for width in (120, 28, 70):
        term.tmux('resize-window', '-x', str(width), '-y', '30')
        time.sleep(1)
        text, ok = term.wait(lambda s: block(s) == 1, 5)
        t.check(ok and text.count('rows/s') <= 1, 'drawn over after a change to %d columns' % width, text)
    finish(t, term, place, 'and the end is clean')
    term.close()
    place.remove()


def suspended(t):
    """Red when Ctrl-Z and fg lose the run, draw over what the shell wrote, or a run in the background draws."""
    place = harness.Place('suspend')
    term = Terminal(place, 'bash --norc --noprofile', width=100)
    term.type(COPY)
    term.key('Enter')
    text, ok = term.wait(lambda s: block(s) == 1)
    t.check(ok, 'it runs', text)
    term.key('C-z')
    text, ok = term.wait(lambda s: 'Stopped' in s)
    t.check(ok, 'Ctrl-Z stops it', text)
    term.type('echo mar""ker')
    term.key('Enter')
    term.type('bg')
    term.key('Enter')
    text, ok = term.wait(lambda s: re.search(r'&$', s, re.M))
    time.sleep(1)
    text = term.screen()
    t.check(ok and block(text) <= 1 and re.search(r'[#$]$', text.rstrip()), 'in the background it does not draw', text)
    run = run_of(place)
    term.type('fg')
    term.key('Enter')
    text, ok = term.wait(lambda s: block(s) >= 1 and not re.search(r'[#$]$', s.rstrip()))
    time.sleep(0.8)
    text = term.screen()
    t.check(ok and re.search(r'^marker$', text, re.M) and 'Stopped' in text, 'fg: what the shell wrote stays', text)
    term.key('C-c')
    text, ok = term.wait(lambda s: 'wherry resume ' + run in s, 15)
    t.check(ok and 'exit 130' in text and re.search(r'^marker$', text, re.M), 'Ctrl-C ends it in order', text)
    code, _, err = place.run('resume', run, '--rate', '1GB/s')
    t.check(code == 0 and rows(place) == 400000, 'and it can be gone on with', err)
    term.close()
    place.remove()


def watched(t):
    """Red when watch keeps pieces of older blocks in a small window, does not show a limit that was set under way,
    or its Ctrl-C touches the run."""
    place = harness.Place('watched')
    p = place.start('copy', *SLOW)
    run = run_of(place, p)
    term = started(t, place, 34, 12, 'wherry watch ' + run)
    text, ok = term.wait(lambda s: 'rows in committed units' in s)
    time.sleep(2.4)
    text = term.screen()
    t.check(ok and text.count('in committed units') == 1 and text.count('moving') == 1, 'one block in a small window', text)
    term.tmux('resize-window', '-x', '25', '-y', '12')
    time.sleep(2.4)
    text = term.screen()
    t.check(text.count('committed') <= 1 and text.count('run r-') == 1, 'one block in a smaller one', text)
    term.tmux('resize-window', '-x', '110', '-y', '12')
    place.run('limit', run, '--rate', '3MB/s', '-j', '1')
    text, ok = term.wait(lambda s: 'limited to rate 3MB/s, parallel 1' in s, 10)
    t.check(ok, 'a limit that was set under way', text)
    term.key('C-c')
    text, ok = term.wait(lambda s: re.search(r'^code 130', s, re.M), 10)
    t.check(ok and p.poll() is None, 'Ctrl-C ends watch, not the run', text)
    place.run('limit', run, '--rate', 'none')
    code, _, err = harness.finish(p, 60)
    t.check(code == 0 and rows(place) == 400000, 'the run ends by itself', err)
    term.close()
    place.remove()


def plainly(t):
    """Red when colour or a block comes where it was refused (NO_COLOR, --color=never, TERM=dumb, --no-progress, -q), or
    is missing on a terminal."""
    place = harness.Place('plain')
    for words, env, coloured in (('', '', True), ('', 'NO_COLOR=1 ', False), ('', 'NO_COLOR= ', True), (' --color=never', '', False),
                                 ('', 'TERM=dumb ', False), (' --color=always', 'NO_COLOR=1 ', True), ('', 'WHERRY_COLOR=never ', False)):
        term = Terminal(place, 'sh', width=100)
        term.type(env + 'wherry describe nothing.csv%s; echo e""nd' % words)
        term.key('Enter')
        text, ok = term.wait(lambda s: re.search(r'^end', s, re.M))
        seen = term.tmux('capture-pane', '-p', '-e')
        t.check(ok and ('\033[' in [x for x in seen.splitlines() if 'E4001' in x][0]) == coloured, 'colour: %s%s' % (env, words), repr(seen))
        term.close()
    for words, env, shown in (('', '', True), (' --no-progress', '', False), (' -q', '', False), ('', 'TERM=dumb ', False),
                              ('', 'WHERRY_NO_PROGRESS=1 ', False), (' --json >e.jsonl', '', False)):
        term = Terminal(place, 'sh', width=100)
        term.type(env + "wherry copy 'gen:lineitem?rows=30000,seed=3' null: --rate 5MB/s%s; echo e\"\"nd" % words)
        term.key('Enter')
        most, end = 0, time.time() + 60
        while time.time() < end:
            text = term.screen()
            most = max(most, block(text))
            if re.search(r'^end', text, re.M):
                break
            time.sleep(0.1)
        t.check(most == int(shown) and time.time() < end, 'progress: %s%s' % (env, words), '%d\n%s' % (most, text))
        term.close()
    place.remove()


def unseen(t):
    """Red when a secret is shown while it is typed, Ctrl-C leaves the terminal without an echo, or it is kept wrongly."""
    place = harness.Place('unseen')
    term = Terminal(place, 'sh', width=80)
    for word, keys, code in (('first', ['C-c'], 130), ('second', ['Enter'], 0)):
        term.type('wherry secret set db.pass; echo co""de $?')
        term.key('Enter')
        text, ok = term.wait(lambda s: s.rstrip().endswith('value of db.pass:'))
        t.check(ok, 'it asks', text)
        term.type('geheim-' + word)
        term.key('C-z')
        time.sleep(0.3)
        t.check('geheim' not in term.screen() and 'Stopped' not in term.screen(), 'what is typed is not shown', term.screen())
        term.key(*keys)
        text, ok = term.wait(lambda s, c=code: re.search(r'^code %d' % c, s, re.M))
        t.check(ok and 'geheim' not in text, 'ends with %d' % code, text)
        term.type('echo sh""own')
        text, ok = term.wait(lambda s: s.rstrip().endswith('echo sh""own'), 5)
        t.check(ok, 'the terminal shows again what is typed', text)
        term.key('Enter')
        term.type('clear')
        term.key('Enter')
        term.wait(lambda s: 'shown' not in s)
    t.check(place.run('secret', 'list')[1] == 'db.pass\n', 'kept under its name')
    store = place.path('home', '.config', 'wherry', 'secrets')
    found = []
    for base, _, names in os.walk(place.path('home')):
        for n in names:
            with open(os.path.join(base, n), 'rb') as f:
                if b'geheim-second' in f.read().rstrip(b'\n'):
                    found.append(os.stat(os.path.join(base, n)).st_mode & 0o777)
    t.check(found == [0o600], 'the value, for the owner only', '%s %s' % (store, found))
    code, _, err = place.run('secret', 'set', 'other')
    t.check(code == 2 and 'E1008' in err, 'nothing typed is no value', err)
    term.close()
    place.remove()


def wide(t):
    """Red when a column does not begin at the same place in every line, whatever characters stand before it."""
    place = harness.Place('wide')
    names = ['a', '北京市', '日本語テキスト', 'café', 'cafe\u0301', '😀😀', 'ｆｕｌｌ', '한국어', 'x' * 30]
    with open(place.path('w.csv'), 'w', encoding='utf-8') as f:
        f.write('名称,mark\n' + ''.join('%s,|%d\n' % (n, i) for i, n in enumerate(names)))
    term = Terminal(place, 'sh', width=70, env={'LC_ALL': 'C.UTF-8'})
    term.type('wherry preview w.csv; echo e""nd')
    term.key('Enter')
    text, ok = term.wait(lambda s: re.search(r'^end', s, re.M))
    # Where the terminal itself puts the mark: the cursor column is asked of tmux by cutting at columns.
    columns = set()
    for i in range(len(names)):
        line = next(x for x in text.splitlines() if x.endswith('|%d' % i))
        columns.add(sum(2 if ord(c) > 0x1100 and ord(c) not in (0x301,) else 0 if ord(c) == 0x301 else 1 for c in line.split('|')[0]))
    t.check(ok and columns == {32}, 'every mark in column 32', '%s\n%s' % (columns, text))
    code, out, _ = place.run('preview', 'w.csv', '--json')
    t.check(code == 0 and [e['名称'] for e in harness.events(out)] == names, 'as JSON it is what it was', out)
    many = ','.join('c%02d' % i for i in range(40))
    with open(place.path('m.csv'), 'w', encoding='utf-8') as f:
        f.write(many + '\n' + ','.join(['y' * 200] + ['1'] * 39) + '\n')
    code, out, err = place.run('preview', 'm.csv')
    t.check(code == 0 and 'c31' in out and 'c32' not in out and '8 more columns, long values are cut' in err, 'many columns, long values', out + err)
    term.type('clear; wherry preview m.csv; echo e""nd2')
    term.key('Enter')
    text, ok = term.wait(lambda s: re.search(r'^end2', s, re.M))
    t.check(ok and 'more columns' in text, 'wide rows on a narrow terminal', text)
    term.close()
    place.remove()


def looked(t):
    """Red when what lists and tells (doctor, logs, history, status, grants) drives a terminal, or is cut off there."""
    place = harness.Place('looked')
    place.run('copy', 'gen:lineitem?rows=50', 'out.db')
    for words, want in (('doctor', 'ok   clock'), ('logs', 'run_finished'), ('history', 'exit 0'), ('status', 'nothing runs'),
                        ('grants gen:lineitem', ''), ('connectors file', 'delimiter'), ('config', 'run.parallel')):
        term = Terminal(place, 'sh', width=40, height=100)
        term.type('wherry %s; echo co""de $?' % words)
        term.key('Enter')
        text, ok = term.wait(lambda s: re.search(r'^code \d', s, re.M))
        flat = term.tmux('capture-pane', '-p', '-J', '-S', '-')
        code, out, err = place.run(*words.split())
        lines = [x for x in (out + err).splitlines() if x.strip() and not re.search(r'state|disk|clock|machine', x)]
        missing = [x for x in lines if re.sub(r'\s+', '', x) not in re.sub(r'\s+', '', flat)]
        t.check(ok and want in out + err and '\033' not in out and not missing, 'wherry ' + words, '%s\n%s' % (missing[:3], flat))
        term.close()
    place.remove()
