"""The options of mosquitto 2.0 by what they belong to (mosquitto.conf(5); src/conf.c)."""

LISTENER_OPTIONS = frozenset(
    [
        "accept_protocol_versions",
        "bind_interface",
        "cafile",
        "capath",
        "certfile",
        "ciphers",
        "ciphers_tls1.3",
        "crlfile",
        "dhparamfile",
        "http_dir",
        "keyfile",
        "max_connections",
        "max_qos",
        "max_topic_alias",
        "mount_point",
        "protocol",
        "psk_hint",
        "require_certificate",
        "socket_domain",
        "tls_engine",
        "tls_engine_kpass_sha1",
        "tls_keyform",
        "tls_version",
        "use_identity_as_username",
        "use_subject_as_username",
        "use_username_as_clientid",
        "websockets_headers_size",
        "websockets_origin",
    ]
)
SECURITY_OPTIONS = frozenset(
    ["acl_file", "allow_anonymous", "allow_zero_length_clientid", "auth_plugin", "plugin", "auto_id_prefix", "password_file", "psk_file"]
)
"""Belong to the current listener only with `per_listener_settings true`; otherwise to all."""
BOOLEANS = frozenset(
    ["allow_anonymous", "per_listener_settings", "require_certificate", "use_identity_as_username", "use_subject_as_username"]
)
"""Options that are `true`, `false`, `1` or `0` in this spelling alone (conf.c, conf__parse_bool)."""
MAKE_DEFAULT_LISTENER = LISTENER_OPTIONS - {"http_dir", "max_topic_alias", "tls_version", "websockets_headers_size"}
"""Before any `listener` they make the default one, on port 1883 of all interfaces (conf.c, config__parse_args)."""
BRIDGE_OPTIONS = frozenset(
    [
        "address",
        "addresses",
        "cleansession",
        "clientid",
        "idle_timeout",
        "keepalive_interval",
        "local_cleansession",
        "local_clientid",
        "local_password",
        "local_username",
        "notification_topic",
        "notifications",
        "notifications_local_only",
        "password",
        "remote_clientid",
        "remote_password",
        "remote_username",
        "restart_timeout",
        "round_robin",
        "start_type",
        "threshold",
        "topic",
        "try_private",
        "username",
    ]
)


GENERAL_OPTIONS = frozenset(
    [
        "allow_duplicate_messages",
        "auth_plugin_deny_special_chars",
        "autosave_interval",
        "autosave_on_changes",
        "check_retain_source",
        "clientid_prefixes",
        "connection_messages",
        "log_dest",
        "log_facility",
        "log_timestamp",
        "log_timestamp_format",
        "log_type",
        "max_inflight_bytes",
        "max_inflight_messages",
        "max_keepalive",
        "max_packet_size",
        "max_queued_bytes",
        "max_queued_messages",
        "memory_limit",
        "message_size_limit",
        "per_listener_settings",
        "persistence",
        "persistence_file",
        "persistence_location",
        "persistent_client_expiration",
        "pid_file",
        "queue_qos0_messages",
        "retain_available",
        "retain_expiry_interval",
        "retained_persistence",
        "retry_interval",
        "set_tcp_nodelay",
        "sys_interval",
        "upgrade_outgoing_qos",
        "user",
        "websockets_log_level",
        *SECURITY_OPTIONS,
    ]
)
OPTIONS_OF_PLUGINS = ("auth_opt_", "plugin_opt_")
