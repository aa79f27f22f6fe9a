"""A small validator for the part of JSON Schema 2020-12 that the OpenAPI document uses; unknown keywords fail."""

import re
from typing import Any

_SAYS_NOTHING = frozenset({"title", "description", "default", "discriminator", "$ref"})
_FIELDS = frozenset({"properties", "patternProperties", "additionalProperties"})
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


class Document:
    """An OpenAPI document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def resolve(self, ref: str) -> Any:
        """What a `$ref` names; KeyError if nothing."""
        assert ref.startswith("#/"), ref
        found: Any = self.document
        for part in ref[2:].split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        return found

    def refs(self) -> list[str]:
        """Every `$ref` and discriminator target of the document."""
        found: list[str] = []

        def walk(value: Any) -> None:
            if isinstance(value, dict):
                found.extend(value.get("discriminator", {}).get("mapping", {}).values())
                for name, inner in value.items():
                    if name == "$ref":
                        found.append(inner)
                    else:
                        walk(inner)
            elif isinstance(value, list):
                for inner in value:
                    walk(inner)

        walk(self.document)
        return found

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """An operation by its method and templated path."""
        return self.document["paths"][path][method.lower()]

    def faults(self, schema: Any, value: Any, at: str = "$", strict: bool = True) -> list[str]:
        """What is wrong with a value; `strict`: a field that the schema does not name is wrong too."""
        if "$ref" in schema:
            return self.faults(self.resolve(schema["$ref"]), value, at, strict)
        found: list[str] = []
        for keyword, wanted in schema.items():
            if keyword in _SAYS_NOTHING or keyword in _FIELDS:
                continue
            check = getattr(self, f"_{keyword}", None)
            assert check is not None, f"{at}: the validator does not know {keyword}"
            found += check(wanted, value, at, strict)
        if isinstance(value, dict) and _FIELDS & schema.keys():
            found += self._fields(schema, value, at, strict)
        return found

    def _fields(self, schema: Any, value: dict[str, Any], at: str, strict: bool) -> list[str]:
        found: list[str] = []
        for name, inner in value.items():
            known = schema.get("properties", {}).get(name)
            for pattern, each in schema.get("patternProperties", {}).items():
                known = each if re.search(pattern, name) else known
            further = schema.get("additionalProperties", not strict)
            if known is None and isinstance(further, dict):
                known = further
            if known is not None:
                found += self.faults(known, inner, f"{at}.{name}", strict)
            elif not further:
                found.append(f"{at}.{name} is not in the schema")
        return found

    def _type(self, wanted: Any, value: Any, at: str, strict: bool) -> list[str]:
        names = wanted if isinstance(wanted, list) else [wanted]
        fits = any(
            isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool)) for name in names
        )
        return [] if fits else [f"{at}: {value!r} is no {wanted}"]

    def _required(self, wanted: Any, value: Any, at: str, strict: bool) -> list[str]:
        missing = [name for name in wanted if isinstance(value, dict) and name not in value]
        return [f"{at}.{name} is missing" for name in missing]

    def _enum(self, wanted: Any, value: Any, at: str, strict: bool) -> list[str]:
        return [] if value in wanted else [f"{at}: {value!r} is none of {wanted}"]

    def _const(self, wanted: Any, value: Any, at: str, strict: bool) -> list[str]:
        return [] if value == wanted else [f"{at}: {value!r} is not {wanted!r}"]

    def _items(self, wanted: Any, value: Any, at: str, strict: bool) -> list[str]:
        inner = enumerate(value) if isinstance(value, list) else ()
        return [fault for number, each in inner for fault in self.faults(wanted, each, f"{at}[{number}]", strict)]

    def _oneOf(self, wanted: Any, value: Any, at: str, strict: bool) -> list[str]:  # noqa: N802
        fitting = [schema for schema in wanted if not self.faults(schema, value, at, strict)]
        return [] if len(fitting) == 1 else [f"{at}: {len(fitting)} schemas fit {value!r}"]

    def _anyOf(self, wanted: Any, value: Any, at: str, strict: bool) -> list[str]:  # noqa: N802
        fitting = [schema for schema in wanted if not self.faults(schema, value, at, strict)]
        return [] if fitting else [f"{at}: no schema fits {value!r}"]

    def _pattern(self, wanted: Any, value: Any, at: str, strict: bool) -> list[str]:
        fits = not isinstance(value, str) or re.search(wanted, value)
        return [] if fits else [f"{at}: {value!r} does not match {wanted}"]

    def _bound(self, fits: bool, at: str, value: Any) -> list[str]:
        return [] if fits else [f"{at}: {value!r} is out of bounds"]

    def _minimum(self, wanted: Any, value: Any, at: str, strict: bool) -> list[str]:
        return self._bound(not isinstance(value, int | float) or value >= wanted, at, value)

    def _maximum(self, wanted: Any, value: Any, at: str, strict: bool) -> list[str]:
        return self._bound(not isinstance(value, int | float) or value <= wanted, at, value)

    def _exclusiveMinimum(self, wanted: Any, value: Any, at: str, strict: bool) -> list[str]:  # noqa: N802
        return self._bound(not isinstance(value, int | float) or value > wanted, at, value)

    def _minLength(self, wanted: Any, value: Any, at: str, strict: bool) -> list[str]:  # noqa: N802
        return self._bound(not isinstance(value, str) or len(value) >= wanted, at, value)

    def _maxLength(self, wanted: Any, value: Any, at: str, strict: bool) -> list[str]:  # noqa: N802
        return self._bound(not isinstance(value, str) or len(value) <= wanted, at, value)

    def _minItems(self, wanted: Any, value: Any, at: str, strict: bool) -> list[str]:  # noqa: N802
        return self._bound(not isinstance(value, list) or len(value) >= wanted, at, value)

    def _maxItems(self, wanted: Any, value: Any, at: str, strict: bool) -> list[str]:  # noqa: N802
        return self._bound(not isinstance(value, list) or len(value) <= wanted, at, value)

    def _propertyNames(self, wanted: Any, value: Any, at: str, strict: bool) -> list[str]:  # noqa: N802
        names = value if isinstance(value, dict) else ()
        return [fault for name in names for fault in self.faults(wanted, name, f"{at}.{name}", strict)]
