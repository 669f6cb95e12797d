"""Has a store refuse what is handed in by a process that does not keep it, or not any more.

In: {"file": path of `state.db`, "refuses": whether}. Out: {}.
"""

import json
import sqlite3
import sys

told = json.load(sys.stdin)
with sqlite3.connect(told["file"], timeout=60) as state:
    state.execute("drop trigger if exists refused")
    if told["refuses"]:
        state.execute("create trigger refused before insert on inbox begin select raise(abort, 'refused'); end")
print("{}")
