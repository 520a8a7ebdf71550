#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every way into a PostgreSQL server, and every way to be turned away.

Fails if a certificate is trusted that should not be, if a password reaches an output, if a refusal has
the wrong exit code or no next step, or if a wait has no end."""
import os
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402

SECRET = servers.PASSWORD


def check(t, place, url, code, words, what, **env):
    begin = time.monotonic()
    got, out, err = place.run('check', url, timeout=60, **env)
    text = out + err
    t.check(got == code and all(w in text for w in words), what, 'exit %d, not %d\n%s' % (got, code, text))
    t.check(SECRET not in text and 'sesame' not in text, 'no password is shown: ' + what, text)
    return time.monotonic() - begin


def tls(t, pg, place):
    ca, other = pg.tls + '/ca.crt', pg.tls + '/other.crt'
    user = {'user': 'tlser', 'password': SECRET}

    def go(code, words, what, host='localhost', env=None, **options):
        check(t, place, pg.url(host=host, **user, **options), code, words, what, **(env or {}))

    go(0, ['ok '], 'verify-full with the right authority', tls='verify-full', tls_ca=ca)
    go(0, ['ok '], "libpq's names for the same", sslmode='verify-full', sslrootcert=ca)
    go(0, ['ok '], 'by address, which the certificate has', host='127.0.0.1', tls='verify-full', tls_ca=ca)
    go(9, ['E2004', 'tls_ca'], 'an authority that signed nothing', tls='verify-full', tls_ca=other)
    go(9, ['E2004'], 'a system that does not know the authority', tls='verify-full')
    go(9, ['E2004', 'nosuch'], 'no file of authorities', tls='verify-full', tls_ca='/nosuch/ca.crt')
    go(0, ['ok '], 'loopback takes what the server offers', connect_timeout='3', tcp_user_timeout='20000')
    go(9, ['E2005', 'no encryption'], 'a role that must not come in clear text', tls='off')
    go(0, ['ok '], 'insecure is a word', tls='insecure')
    # 127.0.0.2 leads here, too, and is not in the certificate.
    go(9, ['E2004', '127.0.0.2', 'verify-ca'], 'a name that the certificate does not have', host='127.0.0.2', tls='verify-full',
       tls_ca=ca)
    go(9, ['E2004'], 'verify-ca with a strange authority', host='127.0.0.2', tls='verify-ca', tls_ca=other)
    cert = {'tls_cert': pg.tls + '/client.crt', 'tls_key': pg.tls + '/client.key'}
    check(t, place, pg.url(user='certer', host='localhost', tls='verify-full', tls_ca=ca, **cert), 0, ['ok '],
          'a client certificate')
    check(t, place, pg.url(user='certer', host='localhost', tls='verify-full', tls_ca=ca), 9, ['E2005'],
          'a client certificate that is missing')
    check(t, place, pg.url(user='certer', tls_cert=cert['tls_cert']), 2, ['E1007', 'tls_key'], 'half of a certificate')


def no_tls(t, place):
    """A server without TLS: a host that is not this machine must be refused."""
    with servers.Postgres(listen_addresses="'*'") as pg:
        with open(os.path.join(pg.dir, 'pg_hba.conf'), 'a', encoding='ascii') as f:
            f.write('host all all samehost trust\n')
        pg.reload()
        check(t, place, pg.url(host='127.0.0.1'), 0, ['ok '], 'loopback needs no TLS')
        check(t, place, pg.url(host='127.0.0.1', tls='verify-full'), 9, ['E2004', 'offers no TLS', 'tls: off'],
              'asked for TLS, which is not there')
        own = address()
        if not own:
            t.skip('this machine has no address but loopback')
            return
        check(t, place, pg.url(host=own), 9, ['E2004', 'offers no TLS', 'tls: off'], 'another host without TLS is refused')
        check(t, place, pg.url(host=own, tls='off'), 0, ['ok '], 'and entered when that was asked for')
        check(t, place, pg.url(host=own), 0, ['ok '], 'PGSSLMODE is what the user said', PGSSLMODE='disable')


def address():
    """An address of this machine that is not loopback, or None."""
    out = subprocess.run(['hostname', '-I'], stdout=subprocess.PIPE, check=False).stdout.decode().split()
    return next((a for a in out if ':' not in a), None)


def log_ins(t, pg, place):
    ways = (('scram', 'wherry'), ('md5', 'md5er'), ('clear text', 'plain'))
    for name, user in ways:
        check(t, place, pg.url(user=user, password=SECRET), 0, ['ok '], name)
        check(t, place, pg.url(user=user, password='sesame'), 9, ['E2005'], name + ' with a wrong password')
    check(t, place, pg.url(user='wherry'), 9, ['E2005', '.pgpass', 'user "wherry"'], 'no password at all')
    check(t, place, pg.url(user='stranger', password=SECRET), 9, ['E2005'], 'a role that is not there')
    check(t, place, pg.url(user='nobody', password=SECRET), 9, ['E2005'], 'a role that pg_hba.conf rejects')
    check(t, place, pg.url(database='nosuch'), 2, ['E2012', 'nosuch'], 'a database that is not there')
    check(t, place, pg.url(database='a%20b%27c'), 2, ['E2012', "a b'c"], 'a database with an odd name')
    check(t, place, pg.url(role='nosuch'), 9, ['E2005', 'nosuch'], 'a role to take on that is not there')
    pg.sql('create role worker; grant worker to reader')
    check(t, place, pg.url(user='reader', password=SECRET, role='worker'), 0, ['ok '], 'a role to take on')


def files(t, pg, place):
    home = place.env['HOME']
    passfile = os.path.join(home, '.pgpass')
    with open(passfile, 'w', encoding='ascii') as f:
        f.write('127.0.0.1:%d:*:wherry:%s\n' % (pg.port, SECRET))
    os.chmod(passfile, 0o600)
    check(t, place, pg.url(user='wherry'), 0, ['ok '], '.pgpass')
    check(t, place, pg.url(user='wherry', password='sesame'), 9, ['E2005'], 'a password that is given comes before .pgpass')
    other = place.path('passwords')
    os.rename(passfile, other)
    check(t, place, pg.url(user='wherry'), 9, ['E2005'], 'no .pgpass any more')
    check(t, place, pg.url(user='wherry', passfile=other), 0, ['ok '], 'another password file')
    service = os.path.join(home, '.pg_service.conf')
    with open(service, 'w', encoding='ascii') as f:
        f.write('[shop]\nhost=127.0.0.1\nport=%d\nuser=wherry\npassword=%s\ndbname=postgres\n' % (pg.port, SECRET))
    check(t, place, 'postgresql:///?service=shop', 0, ['ok '], 'a service')
    check(t, place, 'postgresql:///?service=nosuch', 2, ['nosuch', 'pg_service.conf'], 'a service that is not there')
    os.rename(service, place.path('services'))
    check(t, place, 'postgresql:///?service=shop&service_file=' + place.path('services'), 0, ['ok '], 'another service file')
    check(t, place, 'postgresql:///postgres', 0, ['ok '], 'the environment alone', PGHOST='127.0.0.1', PGPORT=str(pg.port),
          PGUSER='wherry', PGPASSWORD=SECRET)
    check(t, place, 'postgresql:///postgres?host=%s&port=%d&user=reader' % (pg.dir, pg.port), 0, ['ok '], 'a unix socket')
    check(t, place, 'postgresql:///postgres?host=%s&port=%d&user=reader&tls=verify-full' % (pg.dir, pg.port), 0, ['ok '],
          'a unix socket needs no TLS')
    check(t, place, 'postgresql:///postgres?host=/nosuch&port=%d&user=reader' % pg.port, 5, ['E2001', '/nosuch'],
          'a socket that is not there')


def not_there(t, pg, place):
    check(t, place, 'postgresql://postgres@127.0.0.1:1/postgres', 5, ['E2001', 'refused'], 'no server')
    check(t, place, 'postgresql://postgres@no.such.host.invalid/postgres', 5, ['E2003'], 'no such host')
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen(5)
        silent = s.getsockname()[1]
        took = check(t, place, 'postgresql://postgres@127.0.0.1:%d/postgres?connect_timeout=500ms' % silent, 5,
                     ['E2002', 'no answer'], 'a port that accepts and says nothing')
        t.check(took < 5, 'the wait for a silent port ends', '%.1f s' % took)
        begin = time.monotonic()
        p = place.start('check', 'postgresql://postgres@127.0.0.1:%d/postgres?connect_timeout=1m' % silent)
        time.sleep(0.5)
        p.terminate()
        code, _, err = harness.finish(p, 20)
        t.check(code == 143 and time.monotonic() - begin < 5, 'SIGTERM ends the wait', '%d %s' % (code, err))
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen(0)
        full = s.getsockname()[1]
        fill = [socket.socket() for _ in range(3)]  # then the kernel drops who knocks
        for f in fill:
            f.setblocking(False)
            f.connect_ex(('127.0.0.1', full))
        check(t, place, 'postgresql:///postgres?host=127.0.0.1%2C127.0.0.1&user=postgres&connect_timeout=3s', 0, ['ok '],
              'the second of two hosts, when the first drops what comes', PGPORT='%d,%d' % (full, pg.port))
        for f in fill:
            f.close()
    text = pg.sql("select count(*) from pg_stat_activity where application_name like 'wherry/%'")
    t.check(text == '0', 'no session is left', text)


def wide_rows(t, pg, place):
    """Encrypted rows of many kB: nothing waits unseen inside of the TLS library, and no buffer grows."""
    pg.sql("create table wide as select i as id, repeat(md5(i::text), i * 37 % 2000) as b from generate_series(1, 3000) i")
    for mode in ('require', 'off'):
        code, out, err = place.run('copy', pg.url('wide', host='localhost', tls=mode), 'null:', '--mode', 'overwrite', '--json')
        end = harness.finished(out)
        t.check(code == 0 and end.get('rows_written') == 3000, 'wide rows, tls=' + mode, err)
        if 'ASAN_OPTIONS' not in os.environ:
            t.check(end.get('peak_rss', 0) < 64 << 20, 'memory for wide rows, tls=' + mode, end.get('peak_rss'))
    back = pg.url('wide_back', host='localhost', tls='require')
    code, _, err = place.run('copy', pg.url('wide', host='localhost', tls='require'), back)
    same = pg.sql('select count(*) from wide join wide_back using (id, b)')
    t.check(code == 0 and same == '3000', 'wide rows there and back', '%s\n%s' % (same, err))


def crowded(t, pg, place):
    """No connection is free: temporary, so exit 5."""
    pg.sql('alter role reader connection limit 1')
    holder = subprocess.Popen([os.path.join(pg.bin, 'psql'), '-qAtX', 'host=%s port=%d user=reader dbname=postgres' % (pg.dir, pg.port),
                               '-c', 'select pg_sleep(20)'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if pg.sql("select count(*) from pg_stat_activity where usename = 'reader'") == '1':
                break
            time.sleep(0.05)
        check(t, place, pg.url(user='reader', password=SECRET), 5, ['E2007', 'fewer lanes (-j N)'], 'too many connections')
    finally:
        holder.kill()
        holder.wait()


def restarting(t, pg, place):
    """A server that starts or stops says so: temporary."""
    done = threading.Event()
    seen = []

    def knock():
        while not done.is_set():
            code, _, err = place.run('check', pg.url(), timeout=30)
            seen.append((code, err))

    th = threading.Thread(target=knock)
    th.start()
    pg.restart(immediate=True)
    pg.restart()
    done.set()
    th.join()
    bad = [s for s in seen if s[0] not in (0, 5)]
    t.check(seen and not bad, 'a restart is temporary, whatever the moment', bad[:3])


def main():
    t = harness.Tally('postgresql connect', harness.seed_of())
    with servers.Postgres(tls=True, listen_addresses="'127.0.0.1,127.0.0.2'") as pg:
        place = harness.Place('pg-connect')
        try:
            tls(t, pg, place)
            log_ins(t, pg, place)
            files(t, pg, place)
            not_there(t, pg, place)
            wide_rows(t, pg, place)
            crowded(t, pg, place)
            restarting(t, pg, place)
            no_tls(t, place)
        finally:
            place.remove()
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
