# SPDX-License-Identifier: Apache-2.0
"""A real terminal for tests: tmux with a server of its own."""
import os
import subprocess
import time

import harness


class Terminal:
    count = 0

    def __init__(self, place, command, width=100, height=30, env=None):
        Terminal.count += 1     # a server that is about to end still answers at its socket
        self.place, self.socket = place, place.path('tmux-%d' % Terminal.count)
        self.env = dict(place.env, TMUX_TMPDIR=place.dir, TERM='xterm-256color', **(env or {}))
        bin_dir = place.path('bin')
        if not os.path.isdir(bin_dir):
            os.mkdir(bin_dir)
            with open(os.path.join(bin_dir, 'wherry'), 'w', encoding='utf-8') as f:
                f.write('#!/bin/sh\nexec %s "$@"\n' % harness.program())
            os.chmod(os.path.join(bin_dir, 'wherry'), 0o755)
        self.env['PATH'] = bin_dir + ':' + self.env['PATH']
        self.env.pop('TMUX', None)
        self.tmux('-f', '/dev/null', 'new-session', '-d', '-x', str(width), '-y', str(height), '-c', place.dir, command)

    def tmux(self, *words):
        return subprocess.run(['tmux', '-S', self.socket] + list(words), env=self.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30).stdout.decode('utf-8', 'replace')

    def type(self, text):
        self.tmux('send-keys', '-l', text)

    def key(self, *names):
        self.tmux('send-keys', *names)

    def screen(self):
        return self.tmux('capture-pane', '-p')

    def wait(self, good, seconds=20):
        """Until good(screen); returns the last screen and whether it was good."""
        end = time.time() + seconds
        while True:
            text = self.screen()
            if good(text):
                return text, True
            if time.time() > end:
                return text, False
            time.sleep(0.1)

    def close(self):
        self.tmux('kill-server')
