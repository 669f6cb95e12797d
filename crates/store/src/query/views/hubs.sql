select hub, zone from stored.hubs
