"""The one settings object, read once at the entrance from `FAIRDROP_*` variables. `docs/settings.md` lists every one."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What two deployments may differ in. Frozen; passed down, never looked up."""

    model_config = SettingsConfigDict(env_prefix="FAIRDROP_", frozen=True, extra="ignore")

    environment: Literal["development", "production"] = Field(
        "development",
        description="`production` refuses everything that is only for development, such as the local issuer.",
    )
    spanner_project: str = Field("fairdrop-local", description="Google Cloud project of the Spanner instance.")
    spanner_instance: str = Field("fairdrop", description="Spanner instance.")
    spanner_database: str = Field("fairdrop", description="Spanner database of the order service.")
    payments_database: str = Field("fairdrop-payments", description="Spanner database of the payment service.")
    rpc_deadline_seconds: float = Field(
        5.0, gt=0, description="Longest wait for one Spanner call; then its outcome is unknown."
    )
    state_dir: Path = Field(Path(".fairdrop"), description="Where development keeps its key, logs and answers.")

    log_format: Literal["", "json", "text"] = Field(
        "",
        description="Log lines: `json` as Cloud Logging reads them, or `text`. Empty: json in production, text in development.",
    )

    traces: Literal["off", "console", "otlp", "cloud"] = Field(
        "off",
        description="Where spans go: nowhere, to stdout (a JSON object a line), by OTLP over HTTP to a collector "
        "(OTEL_EXPORTER_OTLP_ENDPOINT, else http://localhost:4318), or to Cloud Trace. docs/telemetry.md.",
    )
    traces_sample: float = Field(
        0.01, ge=0, le=1, description="Share of requests that are traced besides those whose caller traces them."
    )
    traces_per_second: int = Field(
        50,
        ge=0,
        le=10_000,
        description="Most requests that one process begins to trace in a second, whoever asks for it.",
    )

    auth_issuer: str = Field("https://issuer.fairdrop.localhost", description="`iss` that a bearer token must carry.")
    auth_audience: str = Field("fairdrop", description="`aud` that a bearer token must carry.")
    auth_jwks_url: str = Field(
        "", description="Where the issuer publishes its keys (https). Empty: the local issuer's, in development only."
    )
    verified_token_cache_size: int = Field(
        20_000, ge=0, description="Verified tokens each process remembers until they expire; about 1.5 kB each."
    )

    request_deadline_seconds: float = Field(
        10.0, gt=0, description="Longest a buyer's request waits; then 503 and Retry-After."
    )
    lane_capacity: int = Field(500, ge=1, description="Orders one process has under way at most; past it, 503 at once.")
    batch_limit: int = Field(
        256, ge=1, le=500, description="Most orders in one transaction (Spanner allows 80,000 mutations)."
    )
    pin_workers: bool = Field(
        False,
        description="Keep each of the service's workers to a core of its own (Linux). For machines on which nothing else is busy: "
        "there a tenth more orders; elsewhere a worker waits for its core while others are free.",
    )
    take_turns: bool = Field(
        True,
        description="On the emulator, which takes one transaction at a time and aborts the others, a server's workers wait for "
        "each other. Of no effect on Spanner.",
    )
    sold_out_memory_ms: int = Field(
        250, ge=0, le=250, description="Longest a process refuses from memory before it looks at the stock again."
    )
    max_body_bytes: int = Field(16_384, ge=1_024, description="Longest request body; past it, 413.")

    customer_requests_per_second: float = Field(
        20.0,
        ge=0,
        le=100_000,
        description="Requests of one customer that each process lets in, on the average; past it, 429. 0: any number.",
    )
    customer_burst: int = Field(100, ge=1, le=100_000, description="Requests of one customer that may come at once.")
    address_requests_per_second: float = Field(
        0.0,
        ge=0,
        le=100_000,
        description="Requests from one address that each process lets in, on the average; past it, 429. 0: any number.",
    )
    address_burst: int = Field(1_000, ge=1, le=100_000, description="Requests from one address that may come at once.")
    forwarded_addresses: int = Field(
        0,
        ge=0,
        le=8,
        description="Addresses that our own proxies add to X-Forwarded-For, of which the first is the client's: 2 behind "
        "Google's load balancer. 0: the connection's own address counts.",
    )

    pubsub_project: str = Field("", description="Google Cloud project of the topics; empty: that of Spanner.")
    lease_seconds: float = Field(
        10.0, ge=0.5, le=300, description="How long a worker that is gone keeps its share of the work from the others."
    )
    relay_duplicate_share: float = Field(
        0.0, ge=0, le=1, description="Share of events published twice, to try the consumers with; 0 in production."
    )

    metrics_port: int = Field(
        0, ge=0, le=65_535, description="Port at which a worker shows /metrics for Prometheus; 0: none."
    )
    metrics_token: SecretStr = Field(
        SecretStr(""), description="Bearer token for the API's /metrics; empty in production: no such address."
    )
    metrics_dir: str = Field(
        "", description="Folder where the API's workers put their figures together; empty: a temporary one."
    )
    metrics_host: str = Field("127.0.0.1", description="Address of that port; 0.0.0.0 in a container.")

    claim_key: SecretStr = Field(
        SecretStr(""),
        description="Ed25519 private key that signs claim codes, 64 hex digits (`openssl rand -hex 32`); never logged. "
        "Only the API needs it. Empty: the development key, which production refuses.",
    )
    claim_public_keys: str = Field(
        "",
        description="Public keys of earlier claim keys whose codes still hold: 64 hex digits each, separated by commas.",
    )

    payment_gateway: Literal["simulator", "stripe"] = Field(
        "simulator", description="Which gateway the payment service uses; the simulator is refused in production."
    )
    gateway_url: str = Field("http://127.0.0.1:8090", description="Where the gateway simulator listens.")
    gateway_timeout_seconds: float = Field(
        5.0, gt=0, le=10, description="Longest wait for one gateway call; then its outcome is unknown."
    )
    gateway_concurrency: int = Field(32, ge=1, le=256, description="Gateway calls that one process makes at once.")
    stripe_api_key: SecretStr = Field(SecretStr(""), description="Stripe's secret (or restricted) key; never logged.")
    stripe_webhook_secret: SecretStr = Field(
        SecretStr(""), description="Stripe's signing secret of our webhook endpoint; never logged."
    )
    stripe_api_base: str = Field("https://api.stripe.com", description="Stripe's address; another only for tests.")

    @property
    def broker_project(self) -> str:
        """The project of the topics."""
        return self.pubsub_project or self.spanner_project

    @model_validator(mode="after")
    def _production_is_complete(self) -> "Settings":
        if self.environment == "production" and not self.auth_jwks_url.startswith("https://"):
            raise ValueError(
                "FAIRDROP_AUTH_JWKS_URL must be an https address in production: the local issuer is refused there"
            )
        if self.environment == "production" and self.relay_duplicate_share:
            raise ValueError("FAIRDROP_RELAY_DUPLICATE_SHARE must be 0 in production: it is for trying the consumers")
        return self


def load_settings() -> Settings:
    """The settings of this process; raises pydantic.ValidationError naming each bad variable."""
    return Settings()  # type: ignore[call-arg]  # the pydantic plugin would know the defaults
