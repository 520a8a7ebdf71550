# SPDX-License-Identifier: Apache-2.0
"""Servers of a test, with all that a connection can meet.

    with Postgres() as pg:                      # a scratch cluster, gone at the end, also after a kill
        pg.sql('create table t (a int)')       # what psql prints
        pg.url('t')                             # postgresql://postgres@127.0.0.1:PORT/postgres#t
        pg.restart(immediate=True)              # as a crash

Roles: postgres (superuser, may come without a password), wherry (scram), md5er, plain (clear text),
reader (scram, no rights of its own), tlser (scram, TLS only), certer (client certificate); all passwords
are PASSWORD. tls=True: the server has a certificate for localhost and 127.0.0.1 by the authority
pg.tls/ca.crt; other.crt is an authority that signed nothing. Settings are lines of postgresql.conf."""
import os
import pwd
import shutil
import signal
import subprocess

import harness
import pgbox

PASSWORD = 'battery-staple'  # not 'wherry': passwords are masked wherever they are printed
HBA = '''local     all         all                   trust
host      all         postgres 127.0.0.1/32   trust
host      all         plain    127.0.0.1/32   password
host      all         md5er    127.0.0.1/32   md5
hostssl   all         certer   127.0.0.1/32   cert
hostssl   all         tlser    127.0.0.1/32   scram-sha-256
hostnossl all         tlser    127.0.0.1/32   reject
host      all         nobody   127.0.0.1/32   reject
host      all         all      127.0.0.1/32   scram-sha-256
host      replication all      127.0.0.1/32   scram-sha-256
'''
ROLES = '''create role wherry superuser login password '%(pw)s';
create role reader login password '%(pw)s';
create role plain login password '%(pw)s';
create role tlser login password '%(pw)s';
create role certer login;
create role nobody login password '%(pw)s';
set password_encryption = md5;
create role md5er login password '%(pw)s';
''' % {'pw': PASSWORD}


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


class Postgres(pgbox.Server):
    """See the head of this file. folder: new, for the cluster; by default a scratch one."""

    def __init__(self, folder=None, tls=False, **settings):
        self.scratch = None
        if folder is None:
            self.scratch = harness.scratch('postgresql')
            folder = os.path.join(self.scratch, 'data')
        self.tls = os.path.join(folder, 'tls') if tls else None
        try:
            pgbox.Server.__init__(self, folder, **{'wal_level': 'logical', 'max_wal_senders': '4', 'log_min_messages': 'warning',
                                                   'log_line_prefix': "'%m [%p] %a '", **settings})
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

    def remove(self):
        pgbox.Server.remove(self)
        if self.scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)

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

    def reload(self):
        """Settings, pg_hba.conf and certificates are read again before this returns."""
        before = self.sql('select pg_conf_load_time()')
        self.process.send_signal(signal.SIGHUP)
        while self.sql('select pg_conf_load_time()') == before:
            pass

    def restart(self, immediate=False):
        """Every session ends; immediate: as a crash."""
        self.stop(signal.SIGQUIT if immediate else signal.SIGINT)
        self.start()

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
