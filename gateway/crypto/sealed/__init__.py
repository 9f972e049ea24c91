"""The sealed object format, version 1; ``docs/format.md`` specifies every byte."""
