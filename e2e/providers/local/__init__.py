"""A real node on this machine: kubelet, containerd, kube-proxy, CoreDNS in a network namespace."""
