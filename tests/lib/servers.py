# SPDX-License-Identifier: Apache-2.0
"""Servers of a test, with all that a connection can meet.

    with Postgres() as pg:                      # a scratch cluster, gone at the end, also after a kill
        pg.sql('create table t (a int)')       # what psql prints
        pg.url('t')                             # postgresql://postgres@127.0.0.1:PORT/postgres#t
        pg.restart(immediate=True)              # as a crash

It is of the installed version, on loopback with a free port. Commits wait for the log
(synchronous_commit is on: a server that is crashed on purpose keeps what it acknowledged), the log not
for the disk. Settings are lines of postgresql.conf.

Roles: postgres (superuser, may come without a password), wherry (scram), md5er, plain (clear text),
reader (scram, no rights of its own), tlser (scram, TLS only), certer (client certificate); all passwords
are PASSWORD. Members of the role trusted need none. tls=True: the server has a certificate for localhost
and 127.0.0.1 by the authority pg.tls/ca.crt; other.crt is an authority that signed nothing."""
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time

import harness

SETTINGS = {'listen_addresses': "'127.0.0.1'", 'fsync': 'off', 'full_page_writes': 'off', 'shared_buffers': '64MB',
            'max_wal_size': '512MB', 'max_connections': '60', 'autovacuum_naptime': '10s', 'timezone': "'UTC'",
            'wal_level': 'minimal', 'max_wal_senders': '0', 'log_min_messages': 'warning',
            'log_line_prefix': "'%m [%p] %a '"}

PASSWORD = 'battery-staple'  # not 'wherry': passwords are masked wherever they are printed
HBA = '''local     all         all                   trust
host      all         postgres 127.0.0.1/32   trust
host      all         +trusted 127.0.0.1/32   trust
host      all         plain    127.0.0.1/32   password
host      all         md5er    127.0.0.1/32   md5
hostssl   all         certer   127.0.0.1/32   cert
hostssl   all         tlser    127.0.0.1/32   scram-sha-256
hostnossl all         tlser    127.0.0.1/32   reject
host      all         nobody   127.0.0.1/32   reject
host      all         all      127.0.0.1/32   scram-sha-256
'''
ROLES = '''create role wherry superuser login password '%(pw)s';
create role reader login password '%(pw)s';
create role trusted;
create role plain login password '%(pw)s';
create role tlser login password '%(pw)s';
create role certer login;
create role nobody login password '%(pw)s';
set password_encryption = md5;
create role md5er login password '%(pw)s';
''' % {'pw': PASSWORD}


def binaries():
    """The folder of the newest PostgreSQL of the system, or None."""
    found = sorted(glob.glob('/usr/lib/postgresql/*/bin/postgres'), key=lambda p: int(p.split('/')[4]))
    return os.path.dirname(found[-1]) if found else None


def free_port():
    s = socket.socket()
    s.bind(('127.0.0.1', 0))
    port = s.getsockname()[1]
    s.close()
    return port


def certificates(folder):
    """An authority, a certificate of the server, one of the client 'certer', and a strange authority."""
    def openssl(*words):
        subprocess.run(['openssl', *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    os.makedirs(folder, exist_ok=True)
    at = lambda name: os.path.join(folder, name)
    for name in ('ca', 'other'):
        openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', '/CN=test authority %s' % name,
                '-keyout', at(name + '.key'), '-out', at(name + '.crt'))
    with open(at('names'), 'w', encoding='ascii') as f:
        f.write('subjectAltName=DNS:localhost,DNS:db.test,IP:127.0.0.1\n')
    for name, subject in (('server', 'localhost'), ('client', 'certer')):
        openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=' + subject, '-keyout', at(name + '.key'),
                '-out', at(name + '.csr'))
        openssl('x509', '-req', '-in', at(name + '.csr'), '-CA', at('ca.crt'), '-CAkey', at('ca.key'),
                '-CAcreateserial', '-days', '30', '-out', at(name + '.crt'), '-extfile', at('names'))
    os.chmod(at('client.key'), 0o600)


class Postgres:
    """See the head of this file. folder: new, for the cluster; by default a scratch one."""

    def __init__(self, folder=None, tls=False, **settings):
        self.scratch = None if folder else harness.scratch('postgresql')
        self.dir = folder or os.path.join(self.scratch, 'data')
        self.tls = os.path.join(self.dir, 'tls') if tls else None
        self.bin, self.port, self.prefix, self.process = binaries(), free_port(), [], None
        try:
            self.make({**SETTINGS, 'port': str(self.port), 'unix_socket_directories': "'%s'" % self.dir, **settings})
            self.start()
            self.sql(ROLES)
            if tls:
                self.offer_tls()
            self.write('pg_hba.conf', HBA)
            self.reload()
        except BaseException:
            self.remove()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    def make(self, settings):
        os.mkdir(self.dir, 0o700)
        if os.getuid() == 0:  # the server refuses root
            user = pwd.getpwnam('postgres')
            os.chown(self.dir, user.pw_uid, user.pw_gid)
            self.prefix = ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups']
            # Down to the folder anybody may walk.
            above = os.path.dirname(self.dir)
            while above not in ('/', '/tmp', '/dev/shm'):
                os.chmod(above, os.stat(above).st_mode | 0o011)
                above = os.path.dirname(above)
        self.sh(os.path.join(self.bin, 'initdb'), '-D', self.dir, '-U', 'postgres', '-E', 'UTF8', '--locale=C.UTF-8',
                '-A', 'trust', '-N')
        with open(os.path.join(self.dir, 'postgresql.conf'), 'a', encoding='ascii') as f:
            f.writelines('%s = %s\n' % line for line in settings.items())

    def sh(self, *words):
        done = subprocess.run([*self.prefix, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd='/', check=False)
        if done.returncode:
            raise AssertionError('%s: %s' % (words[0], done.stdout.decode('utf-8', 'replace')))

    def start(self, seconds=60):
        with open(os.path.join(self.dir, 'log'), 'ab') as log:
            # A test that is killed leaves no server behind.
            self.process = subprocess.Popen([*(self.prefix or ['setpriv']), '--pdeathsig=QUIT',
                                             os.path.join(self.bin, 'postgres'), '-D', self.dir], cwd='/',
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + seconds
        while self.sql('select 1', check=False) != '1':
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError('the server at %d does not answer' % self.port)
            time.sleep(0.05)

    def stop(self, how=signal.SIGINT):
        """SIGINT: fast; SIGQUIT: immediate, as a crash."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait(60)

    def restart(self, immediate=False, pause=0.0):
        """Every session ends; immediate: as a crash, what was committed stays. pause: seconds it is away."""
        self.stop(signal.SIGQUIT if immediate else signal.SIGINT)
        time.sleep(pause)
        self.start()

    def remove(self):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.scratch or self.dir, ignore_errors=True)

    def own(self, path, mode):
        os.chmod(path, mode)
        if os.getuid() == 0:
            user = pwd.getpwnam('postgres')
            os.chown(path, user.pw_uid, user.pw_gid)

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, 'w', encoding='ascii') as f:
            f.write(text)
        self.own(path, 0o600)

    def offer_tls(self):
        certificates(self.tls)
        for name in ('server.crt', 'server.key', 'ca.crt'):
            shutil.copy(os.path.join(self.tls, name), os.path.join(self.dir, name))
            self.own(os.path.join(self.dir, name), 0o600)
        with open(os.path.join(self.dir, 'postgresql.conf'), 'a', encoding='ascii') as f:
            f.write("ssl = on\nssl_ca_file = 'ca.crt'\n")

    def reload(self, seconds=60):
        """Settings, pg_hba.conf and certificates are read again before this returns."""
        before, end = self.sql('select pg_conf_load_time()'), time.monotonic() + seconds
        self.process.send_signal(signal.SIGHUP)
        while self.sql('select pg_conf_load_time()') == before:
            if time.monotonic() > end:
                raise AssertionError('the server at %d does not read its settings again' % self.port)

    def psql(self, database='postgres'):
        return [os.path.join(self.bin, 'psql'), '-qAtX', '-v', 'ON_ERROR_STOP=1', '-F', '|', '-h', '127.0.0.1', '-p',
                str(self.port), '-U', 'postgres', '-d', database]

    def sql(self, text, database='postgres', check=True):
        """What psql prints, without the last newline; None if it failed and need not succeed."""
        done = subprocess.run([*self.psql(database), '-f', '-'], input=text.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False, timeout=600)
        if done.returncode:
            if check:
                raise AssertionError('psql: %s\n%s' % (done.stderr.decode('utf-8', 'replace'), text[:500]))
            return None
        return done.stdout.decode().rstrip('\n')

    def database(self, name):
        self.sql('create database %s' % name)
        return name

    def url(self, table=None, database='postgres', user='postgres', password=None, host='127.0.0.1', port=None, **options):
        words = '&'.join('%s=%s' % w for w in options.items())
        return 'postgresql://%s%s@%s:%d/%s%s%s' % (user, ':' + password if password else '', host, port or self.port, database,
                                                   '?' + words if words else '', '#' + table if table else '')

    def sessions(self, like='wherry/%'):
        """Backends of our sessions: [(pid, application_name, state)]."""
        text = self.sql("select pid, application_name, state from pg_stat_activity where application_name like '%s'" % like)
        return [tuple(line.split('|')) for line in text.splitlines()]

    def cpu(self):
        """User and system seconds of the server and all its processes, the ended ones too."""
        tick, total = os.sysconf('SC_CLK_TCK'), 0
        for name in os.listdir('/proc'):
            if not name.isdigit():
                continue
            try:
                with open('/proc/%s/stat' % name, encoding='ascii', errors='replace') as f:
                    part = f.read().rpartition(')')[2].split()
            except OSError:
                continue
            if int(name) == self.process.pid:
                total += sum(int(x) for x in part[11:15])
            elif int(part[1]) == self.process.pid:
                total += int(part[11]) + int(part[12])
        return total / tick
