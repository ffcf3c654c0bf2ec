"""How many examples: few in `make test`, thousands in `make fuzz` (--hypothesis-profile=many)."""

from hypothesis import HealthCheck, settings

settings.register_profile("few", max_examples=60, deadline=None)
settings.register_profile("many", max_examples=3_000, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("few")
