"""The publisher gateway: HTTP from microservices in, MQTT to the publisher pool out."""
