"""Which gateway the settings ask for. A new one is registered here."""

from app.payments.gateways import Gateway, GatewayMisconfigured
from app.payments.gateways.simulator import SimulatorGateway
from app.settings import Settings


def gateway_of(settings: Settings) -> Gateway:
    """The gateway of this process; no call is made yet. Raises GatewayMisconfigured."""
    if settings.payment_gateway == "stripe":
        return _stripe(settings)
    if settings.environment == "production":
        raise GatewayMisconfigured("FAIRDROP_PAYMENT_GATEWAY must not be the simulator in production")
    return SimulatorGateway(
        settings.gateway_url, settings.gateway_timeout_seconds, connections=settings.gateway_concurrency
    )


def _stripe(settings: Settings) -> Gateway:
    # The library takes a third of a second to import, and only whoever uses it should wait.
    from app.payments.gateways.stripe import StripeGateway  # noqa: PLC0415

    key = settings.stripe_api_key.get_secret_value()
    if not key:
        raise GatewayMisconfigured("FAIRDROP_STRIPE_API_KEY is needed for the stripe gateway")
    if settings.environment != "production" and "_live_" in key:
        raise GatewayMisconfigured("FAIRDROP_STRIPE_API_KEY is a live key: outside production only test keys are taken")
    return StripeGateway(key, settings.stripe_api_base, settings.gateway_timeout_seconds)
