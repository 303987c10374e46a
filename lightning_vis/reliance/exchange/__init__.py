"""The exchange: what surrounds an object replaced by what surrounds another one."""
