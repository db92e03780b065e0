"""Access control: principals, roles, grants, and the one decision about what they allow."""
