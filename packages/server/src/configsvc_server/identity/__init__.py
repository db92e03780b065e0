"""Identity: persons and workloads that issuers outside vouch for, by signed tokens (JWT)."""
