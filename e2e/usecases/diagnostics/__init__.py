"""Remote diagnostics: a backend asks one device for its log.

    support ──POST /v1/clients/{id}/requests──▶ gateway ──MQTT──▶ device
                                                                    │ PUT, pre-signed for this
    support ◀──200 where it is, its digest────  gateway ◀──MQTT──   ▼ request only
       └───────────────────────GET──────────────────────────▶ object store

The log does not go through the brokers: large payloads would stand in the way of small messages.
The device needs no key of the store: the URL lets it write one object, for some seconds.
"""
