"""The JSON Schema and the validation of a payload, from the pydantic validator of its type."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from edgepub.core.errors import InvalidResultError

Payload = TypeVar("Payload")


def json_schema(validator: TypeAdapter[Any]) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a type."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **validator.json_schema()}


def validate(validator: TypeAdapter[Payload], payload: Mapping[str, Any]) -> Payload:
    """Return a payload made from a result, validated.

    Raises:
        InvalidResultError: it has a value that JSON or the schema does not allow.

    """
    try:
        return validator.validate_python(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidResultError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
