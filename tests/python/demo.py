"""A demo that several files of tests look at."""

import clickhouse_connect
import processes


class Demo(processes.Tickhouse):
    """`tickhouse demo` on ports and in a directory of its own."""

    def __init__(self, directory):
        self.http, self.native, self.redis_port, self.web = (processes.free_port() for _ in range(4))
        super().__init__(
            "demo",
            "--data-dir", directory,
            "--instruments", 300,
            "--rate", 1_000,
            "--seed", 7,
            "--clickhouse-http-port", self.http,
            "--clickhouse-tcp-port", self.native,
            "--redis-port", self.redis_port,
            "--http-port", self.web,
            cwd=directory,
        )  # fmt: skip

    def client(self):
        """As the brief connects: no database is named."""
        return clickhouse_connect.get_client(host="localhost", port=self.http, username="default", password="")

    def is_live(self):
        self.find("$")  # fails with the output when the process has ended
        try:
            client = self.client()
            return client.query("SELECT count() FROM tick_data").first_row[0] > 5_000 and client
        except clickhouse_connect.driver.exceptions.Error:
            return None
