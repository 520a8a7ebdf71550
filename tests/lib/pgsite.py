# SPDX-License-Identifier: Apache-2.0
"""Two databases of one PostgreSQL server, from one of which tests copy into the other."""
import harness


class Site:
    """A place for runs, a database to read and one to write."""

    def __init__(self, server, name, encoding=None):
        self.server, self.a, self.b = server, name + '_a', name + '_b'
        server.sql('create database %s' % self.a)
        server.sql("create database %s%s" % (self.b, " encoding '%s' lc_collate 'C' lc_ctype 'C' template template0" % encoding
                                             if encoding else ''))
        self.place = harness.Place('pg-' + name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.place.remove()
        for name in (self.a, self.b):
            self.server.sql('drop database if exists %s with (force)' % name)

    def src(self, text):
        return self.server.sql(text, self.a)

    def dst(self, text, check=True):
        return self.server.sql(text, self.b, check)

    def urls(self, table='t', **options):
        return self.server.url(table, self.a), self.server.url(table, self.b, **options)

    def run(self, verb, *flags, table='t', **env):
        return self.place.run(verb, *self.urls(table), *flags, **env)

    def copy(self, *flags, table='t', **env):
        return self.run('copy', '--no-progress', '--json', *flags, table=table, **env)


def went(code, out, err):
    """What a run said, for a failed check."""
    return 'exit %s\n%s\n%s' % (code, out[-2500:], err[-1500:])
