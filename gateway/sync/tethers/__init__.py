"""Ties jobs to the clients that created them: where those stop waiting, they are cancelled."""
