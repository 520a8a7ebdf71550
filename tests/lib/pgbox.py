# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server for one test: a scratch cluster of the installed version, on loopback with a
free port, ended with the test. Commits wait for the log (synchronous_commit is on: a server that is
crashed on purpose keeps what it acknowledged), the log not for the disk."""
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time

SETTINGS = {'listen_addresses': "'127.0.0.1'", 'fsync': 'off', 'full_page_writes': 'off', 'shared_buffers': '64MB',
            'max_wal_size': '512MB', 'max_connections': '60', 'autovacuum_naptime': '10s', 'timezone': "'UTC'",
            'wal_level': 'minimal', 'max_wal_senders': '0', 'log_min_messages': 'fatal'}


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


class Server:
    """Runs until `stop`; `settings` are lines of postgresql.conf."""

    def __init__(self, folder, **settings):
        self.dir, self.bin, self.port = folder, binaries(), free_port()
        self.prefix, self.process = [], None
        os.mkdir(folder, 0o700)
        if os.getuid() == 0:  # the server refuses root
            user = pwd.getpwnam('postgres')
            os.chown(folder, user.pw_uid, user.pw_gid)
            self.prefix = ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups']
            # Down to the folder anybody may walk.
            above = os.path.dirname(folder)
            while above not in ('/', '/tmp', '/dev/shm'):
                os.chmod(above, os.stat(above).st_mode | 0o011)
                above = os.path.dirname(above)
        self.sh(os.path.join(self.bin, 'initdb'), '-D', folder, '-U', 'postgres', '-E', 'UTF8', '--locale=C.UTF-8',
                '-A', 'trust', '-N')
        with open(os.path.join(folder, 'postgresql.conf'), 'a', encoding='ascii') as f:
            for key, value in {**SETTINGS, 'port': str(self.port), 'unix_socket_directories': "'%s'" % folder,
                               **settings}.items():
                f.write('%s = %s\n' % (key, value))
        self.start()

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

    def crash(self, pause=0.0):
        """-m immediate, and up again: every session is lost, what was committed stays."""
        self.stop(signal.SIGQUIT)
        time.sleep(pause)
        self.start()

    def remove(self):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.dir, ignore_errors=True)

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

    def url(self, table=None, database='postgres', **options):
        words = '&'.join('%s=%s' % w for w in options.items())
        return 'postgresql://postgres@127.0.0.1:%d/%s%s%s' % (self.port, database, '?' + words if words else '',
                                                              '#' + table if table else '')
