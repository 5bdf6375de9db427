"""The certified OpenID provider `oidc-provider`, installed with npm into the cache."""
