module liveconnect.io/e2e/images/pause

go 1.24
