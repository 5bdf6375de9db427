"""What the auth service needs from outside: the presence store."""
