"""gunicorn's own log, in the same lines as ours: what its first process says of the workers that start and end."""

from gunicorn.config import Config
from gunicorn.glogging import Logger

from app.logs import line_format
from app.settings import load_settings


class ServerLog(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Named in gunicorn_conf.py."""

    def setup(self, cfg: Config) -> None:
        """As gunicorn sets it up, with our lines."""
        super().setup(cfg)
        lines = line_format(load_settings())
        for handler in self.error_log.handlers:
            handler.setFormatter(lines)
