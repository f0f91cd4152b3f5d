from commun.store.schema import describe

print(describe(), end="")  # noqa: T201  (the document is this command's output)
