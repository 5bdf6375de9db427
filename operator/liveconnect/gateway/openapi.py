"""The API's description (OpenAPI 3.1), made from the models that read the requests.

`make generate` writes it to `docs/reference/gateway-openapi.json`; `/openapi.json` serves it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from liveconnect.gateway.asking import RequestStatus
from liveconnect.gateway.fanout import FanoutSummary
from liveconnect.gateway.messages.fanout import FanoutContent
from liveconnect.gateway.messages.fields import Content, RequestContent
from liveconnect.gateway.messages.query import KNOWN, TIMEOUT
from liveconnect.gateway.parked import ParkedPage
from liveconnect.gateway.presence import ClientPresence

_REF: Final = "#/components/schemas/{name}"
_CONTENT: Final = {"$ref": _REF.format(name="Content")}
_PROBLEM_TYPE: Final = "application/problem+json"
_TEXT: Final = {"schema": {"type": "string"}}
_PROBLEMS: Final = {
    "400": "The body is not what its content type says, or not UTF-8.",
    "401": "No bearer token, or one that proves nothing.",
    "403": "The caller may not publish to this topic.",
    "409": "The client is not online, and `online-only` was asked for; `presence` says more.",
    "404": "No such message or request; or requests to devices are off.",
    "413": "Body, topic, payload or properties are too long.",
    "415": "A content type that is not taken.",
    "422": "A field has a value that cannot be; `field` names it.",
    "429": "More than this pod's share of the caller's quota, or than its share of what may wait.",
    "502": "The broker refused the message.",
    "503": "No connection to the brokers, or too much waits for them.",
    "504": "The broker did not acknowledge, or the device did not answer in time.",
}
_PROBLEM: Final = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "field": {"type": "string", "description": "The field that is wrong."},
        "sent": {
            "type": "boolean",
            "description": "Whether a broker may have taken the message all the same.",
        },
        "acknowledged": {
            "type": "boolean",
            "description": "Whether a broker has said that it has the request.",
        },
        "id": {"type": "string", "description": "The request's."},
        "clientId": {"type": "string"},
        "presence": {"$ref": _REF.format(name="ClientPresence")},
    },
}


class Acknowledged(msgspec.Struct):
    """What became of a message."""

    status: str
    """`acknowledged` (QoS 1 and 2), `sent` (QoS 0), or `stored` (in the outbox)."""


class ItemResult(msgspec.Struct, omit_defaults=True):
    """What became of one line of a batch; a line that failed has a problem's members, too."""

    index: int
    status: int
    result: str = ""


class MemberResult(msgspec.Struct, rename="camel", omit_defaults=True):
    """What became of a fan-out's message to one client; one that failed has a problem's members."""

    client_id: str
    presence: str
    """`online`, `offline` or `unknown`."""
    status: int
    result: str = ""


def document() -> dict[str, Any]:
    """Return the description."""
    models = (
        Content, RequestContent, FanoutContent, ClientPresence, Acknowledged, ItemResult,
        ParkedPage, RequestStatus, MemberResult, FanoutSummary,
    )  # fmt: skip
    _, schemas = msgspec.json.schema_components(models, ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LiveConnect publisher gateway",
            "version": "v1",
            "description": "Microservices publish to devices. See docs/reference/gateway.md.",
        },
        "security": [{"serviceAccount": []}],
        "paths": {
            "/v1/publish": {"post": _publish("publish", "Publish to a topic", [])},
            "/v1/publish/batch": {"post": _batch()},
            "/v1/clients/{clientId}/messages": {
                "post": _publish("publishToClient", "Publish to a client", ["clientId"])
            },
            "/v1/groups/{group}/messages": {
                "post": _publish("publishToGroup", "Publish to a group", ["group"])
            },
            "/v1/clients/{clientId}/requests": {"post": _ask()},
            "/v1/requests/{id}": {"get": _request_status(), "delete": _forget_request()},
            "/v1/fanout": {"post": _fanout()},
            "/v1/parked": {"get": _parked_page()},
            "/v1/parked/{id}": {"delete": _parked_one("deleteParked", "Forget it", "204")},
            "/v1/parked/{id}/retry": {"post": _parked_one("retryParked", "Try again", "202")},
        },
        "components": {
            "schemas": {**dict(sorted(schemas.items())), "Problem": _PROBLEM},
            "securitySchemes": {
                "serviceAccount": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A Kubernetes ServiceAccount's token, audience `liveconnect`.",
                }
            },
        },
    }


def _publish(operation: str, summary: str, in_path: list[str]) -> dict[str, Any]:
    return {
        "operationId": operation,
        "summary": summary,
        "description": "With a JSON body everything is in the body, otherwise in the query. "
        "A CloudEvent in binary mode has `ce-` headers and any content type.",
        "parameters": [
            *(_parameter(name, "path") for name in in_path),
            *(_parameter(name, "query") for name in KNOWN),
            _parameter("Idempotency-Key", "header"),
        ],
        "requestBody": _body("Content"),
        "responses": {
            "200": _answer("QoS 1, 2: the broker has taken it.", "Acknowledged"),
            "202": _answer("Sent (QoS 0), or stored in the outbox (1, 2).", "Acknowledged"),
            **_problems(*(status for status in _PROBLEMS if status != "404")),
        },
    }


def _body(schema: str) -> dict[str, Any]:
    content = {
        "application/json": {"schema": {"$ref": _REF.format(name=schema)}},
        "text/plain": _TEXT,
        "application/octet-stream": {},
        "application/cloudevents+json": {"schema": {"type": "object"}},
    }
    return {"required": True, "content": content}


def _ask() -> dict[str, Any]:
    addresses = {"topic", "clientId", "group", "responseTopic", "correlationDataBase64", "retain"}
    return {
        "operationId": "askClient",
        "summary": "Ask a client, and get its answer",
        "description": "Waits for the answer, at most a minute. With `Prefer: respond-async` the "
        "answer is 202 and fetched later; `wait=N` besides waits so many seconds before.",
        "parameters": [
            _parameter("clientId", "path"),
            *(_parameter(name, "query") for name in (*KNOWN, TIMEOUT) if name not in addresses),
            _parameter("Prefer", "header"),
            _parameter("Idempotency-Key", "header"),
        ],
        "requestBody": _body("RequestContent"),
        "responses": {
            "200": _answer("The device's answer.", "RequestStatus"),
            "202": _answer("Asked; `Location` says where the answer will be.", "RequestStatus"),
            **_problems(*_PROBLEMS),
        },
    }


def _request_status() -> dict[str, Any]:
    return {
        "operationId": "getRequest",
        "summary": "Your request to a client, and its answer",
        "parameters": [_parameter("id", "path")],
        "responses": {
            "200": _answer("What is known of it.", "RequestStatus"),
            **_problems("401", "404", "503"),
        },
    }


def _forget_request() -> dict[str, Any]:
    return {
        "operationId": "forgetRequest",
        "summary": "Wait for its answer no longer",
        "parameters": [_parameter("id", "path")],
        "responses": {"204": {"description": "Done."}, **_problems("401", "404", "503")},
    }


def _fanout() -> dict[str, Any]:
    lines = [{"$ref": _REF.format(name=name)} for name in ("MemberResult", "FanoutSummary")]
    cursor = {"type": "object", "required": ["next"], "properties": {"next": {"type": "string"}}}
    schema = {"anyOf": [*lines, cursor]}
    return {
        "operationId": "fanOut",
        "summary": "Publish a message to each of many clients",
        "description": "A line for each member; after each page where the next one begins; at the "
        "end a FanoutSummary. Without it the call was cut: go on `after` the last `next`.",
        "parameters": [_parameter("Idempotency-Key", "header")],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": _REF.format(name="FanoutContent")}}
            },
        },
        "responses": {
            "200": {
                "description": "The report.",
                "content": {"application/x-ndjson": {"schema": schema}},
            },
            **_problems("400", "401", "413", "415", "422", "429", "503"),
        },
    }


def _batch() -> dict[str, Any]:
    return {
        "operationId": "publishBatch",
        "summary": "Publish many messages",
        "description": "One Content in each line; the answer has an ItemResult for each, in order.",
        "parameters": [_parameter("Idempotency-Key", "header")],
        "requestBody": {
            "required": True,
            "content": {"application/x-ndjson": {"schema": _CONTENT}},
        },
        "responses": {
            "200": {
                "description": "Each line has its result.",
                "content": {
                    "application/x-ndjson": {"schema": {"$ref": _REF.format(name="ItemResult")}}
                },
            },
            **_problems("400", "401", "413", "415", "503"),
        },
    }


def _parked_page() -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _REF.format(name="ParkedPage")}}}
    return {
        "operationId": "listParked",
        "summary": "Your messages that cannot be published",
        "parameters": [_parameter("after", "query")],
        "responses": {
            "200": {"description": "A page of them.", "content": content},
            **_problems("401", "422"),
        },
    }


def _parked_one(operation: str, summary: str, status: str) -> dict[str, Any]:
    return {
        "operationId": operation,
        "summary": summary,
        "parameters": [_parameter("id", "path")],
        "responses": {status: {"description": "Done."}, **_problems("401", "404")},
    }


def _parameter(name: str, where: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    made = {"name": name, "in": where, "schema": schema}
    return {**made, "required": True} if where == "path" else made


def _answer(description: str, schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _REF.format(name=schema)}}}
    return {"description": description, "content": content}


def _problems(*statuses: str) -> dict[str, Any]:
    schema = {"$ref": _REF.format(name="Problem")}
    return {
        status: {
            "description": _PROBLEMS[status],
            "content": {_PROBLEM_TYPE: {"schema": schema}},
        }
        for status in statuses
    }
