"""The networks, one module each; :mod:`darkknowledge.networks.registry` builds them by kind."""
