"""kopf's side: watches feed the store and wake the loops; nothing is decided here."""
