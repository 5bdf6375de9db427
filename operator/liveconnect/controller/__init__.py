"""The controller: from one `LiveConnectCluster` to everything that it stands for."""
