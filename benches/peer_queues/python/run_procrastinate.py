"""procrastinate: keeps the job's row, and a row for each of its events."""

import importlib.metadata
import json
import time

import procrastinate
import psycopg

import measure


class Procrastinate:
    UNFINISHED = "select exists (select from procrastinate_jobs where status in ('todo', 'doing'))"
    # Some hundred a second.
    MOST_JOBS = 2_000
    SETTINGS = {
        "best": "concurrency 30 (more is no faster)",
        "c10": "concurrency 10",
        "idle": "concurrency 10, notified",
    }
    _CONCURRENCY = {"best": 30, "c10": 10, "idle": 10}

    def __init__(self, setting):
        self.concurrency = self._CONCURRENCY[setting]

    @staticmethod
    def name():
        return f"procrastinate {importlib.metadata.version('procrastinate')}"

    async def set_up(self, url):
        connector = procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=self.concurrency + 3)
        self.app = procrastinate.App(connector=connector)

        @self.app.task(name="nothing")
        async def nothing():
            measure.handled()

        self.nothing = nothing
        await self.app.open_async()
        await self.app.schema_manager.apply_schema_async()
        self.observer = await psycopg.AsyncConnection.connect(url, autocommit=True)

    async def value(self, sql):
        cursor = await self.observer.execute(sql)
        row = await cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    async def preload(self, jobs):
        await self.nothing.batch_defer_async(*[{} for _ in range(jobs)])

    async def add(self):
        # The statement that its own defer sends, in a transaction, of which its API knows nothing.
        sql = """select procrastinate_defer_jobs_v1(array[
            row('default', 'nothing', 0, null, null, %s::jsonb, null)::procrastinate_job_to_defer_v1])"""
        async with self.observer.transaction():
            await self.observer.execute(sql, [json.dumps({})])
            committing = time.monotonic()
        return committing

    async def work(self):
        await self.app.run_worker_async(
            concurrency=self.concurrency, install_signal_handlers=False, delete_jobs="never"
        )


measure.main(Procrastinate)
