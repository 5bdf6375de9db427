"""A real node on this machine, in a network namespace.

kubelet, containerd, kube-proxy and CoreDNS; and of kube-router what enforces NetworkPolicies.
"""
