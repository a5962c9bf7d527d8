"""The log: entries from their bytes on the wire to their place on disk and back.

Rooms: `ingest` (bytes to committed batch), `storage` (partitions, engines, connections), `search` (questions),
`imports` (other systems' logs), `api` (HTTP). STYLE of arrows: api, commands -> ingest, search -> storage -> models, errors.
"""
