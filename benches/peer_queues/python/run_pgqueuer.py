"""pgqueuer: deletes a job when it is done and appends to a log."""

import importlib.metadata
import time

import asyncpg
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries

import measure


class Pgqueuer:
    UNFINISHED = "select exists (select from pgqueuer where status in ('queued', 'picked'))"
    MOST_JOBS = 20_000
    SETTINGS = {
        "best": "batch_size 500, asyncpg with a pool of 12",
        # With smaller batches it waits between them.
        "c10": "batch_size 5, max_concurrent_tasks 10, asyncpg with a pool of 12",
        "idle": "its defaults, asyncpg with a pool of 12, notified",
    }
    _RUN = {
        "best": {"batch_size": 500},
        "c10": {"batch_size": 5, "max_concurrent_tasks": 10},
        "idle": {},
    }

    def __init__(self, setting):
        self.setting = setting

    @staticmethod
    def name():
        return f"pgqueuer {importlib.metadata.version('pgqueuer')}"

    async def set_up(self, url):
        self.connection = await asyncpg.connect(dsn=url)
        self.queries = Queries(AsyncpgDriver(self.connection))
        await self.queries.install()
        # Another one for what is no part of the queue.
        self.observer = await asyncpg.connect(dsn=url)
        pool = await asyncpg.create_pool(dsn=url, min_size=2, max_size=12)
        self.manager = QueueManager(Queries(AsyncpgPoolDriver(pool)))

        @self.manager.entrypoint("nothing")
        async def nothing(_job):
            measure.handled()

    async def value(self, sql):
        return await self.observer.fetchval(sql)

    async def preload(self, jobs):
        await self.queries.enqueue(["nothing"] * jobs, [None] * jobs, [0] * jobs)

    async def add(self):
        transaction = self.connection.transaction()
        await transaction.start()
        await self.queries.enqueue("nothing", None)
        committing = time.monotonic()
        await transaction.commit()
        return committing

    async def work(self):
        await self.manager.run(**self._RUN[self.setting])


measure.main(Pgqueuer)
