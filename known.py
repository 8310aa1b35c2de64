"""Pictures that were checked before: as long as their size and times stay, they need not be read again."""

import contextlib
import hashlib
import os
import sqlite3
import time

import pictures
from files import BUILD, hash_of

FILE = BUILD / 'known.sqlite'
MOST = 10**6  # files that are remembered
EVERY = 1000  # new files that are written at once: what a check that is stopped has to do again
SETTLED = 2 * 10**9  # nanoseconds: what changes twice within so many may have the same times (FAT)
TABLE = 'create table if not exists files (path blob unique, facts text, sha1 text, reader text)'
ASK = 'select sha1, reader from files where path = ? and facts = ?'
ADD = 'insert or replace into files values (?, ?, ?, ?)'
FORGET = 'delete from files where rowid <= (select max(rowid) from files) - ?'


class Known:
    """`with Known() as known` writes what is new to a database; where there can be none, all files are read."""

    def __init__(self):
        self.new, self.database = [], None
        self.reader = hashlib.sha1(repr(pictures.code()).encode()).hexdigest()[:12]  # by what a picture is read
        with self.or_without():
            FILE.parent.mkdir(parents=True, exist_ok=True)
            self.database = sqlite3.connect(FILE)
            self.database.execute(TABLE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.write()
        if self.database:
            self.database.close()

    @contextlib.contextmanager
    def or_without(self):
        """If the database can't be used, go on without; if it is damaged, the next one begins anew."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            self.database = None
            if type(error) is sqlite3.DatabaseError:
                with contextlib.suppress(OSError):
                    FILE.unlink()

    def hash_of(self, path):
        """The SHA-1 of what is in the file. Raises OSError."""
        return self.row(path, facts_of(path))[0] or hash_of(path)

    def hash_of_picture(self, path):
        """The same, or None if it can't be read as a picture. Raises OSError."""
        now, facts = time.time_ns(), facts_of(path)
        sha1, reader = self.row(path, facts)
        if reader == self.reader:
            return sha1
        if not pictures.readable(path):
            return None
        sha1 = hash_of(path)
        _, changed, moved, _ = facts
        if max(changed, moved) < now - SETTLED:
            self.new.append((name_of(path), repr(facts), sha1, self.reader))
        if len(self.new) == EVERY:
            self.write()
        return sha1

    def row(self, path, facts):
        """(its SHA-1, by what it was read as a picture) from the database; (None, None) if it isn't there."""
        rows = []
        if self.database:
            with self.or_without():
                rows = self.database.execute(ASK, (name_of(path), repr(facts))).fetchall()
        return rows[0] if rows else (None, None)

    def write(self):
        """Add what is new, and forget what was added first."""
        if self.new and self.database:
            with self.or_without(), self.database:
                self.database.executemany(ADD, self.new)
                self.database.execute(FORGET, [MOST])
        self.new = []


def name_of(path):
    return os.fsencode(os.path.abspath(path))


def facts_of(path):
    """(bytes, time of the last change, of its name or rights too, number on the disk): another file has others."""
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
