"""What LiveConnect is for, as small programs: apps on devices (paho), and their backends.

Read `device.py` first: how an app stays connected on bad networks. `docs/use-cases.md` tells the
stories; the objects that they need are in `manifests/samples/usecases`.
"""
