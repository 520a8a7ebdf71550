#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""builtin_table.py NAME...: C text of the table of connectors that are linked in."""
import sys

print('/* SPDX-License-Identifier: Apache-2.0 */')
print('#include <wherry/connector.h>\n')
for name in sys.argv[1:]:
    print(f'extern const struct wh_connector wh_connector_{name};')
print('extern const struct wh_connector *const wh_builtin_connectors[];')
print('const struct wh_connector *const wh_builtin_connectors[] = {')
for name in sys.argv[1:]:
    print(f'    &wh_connector_{name},')
print('    NULL,\n};')
