"""HTTP/1.1 as the API server needs it: requests come in, answers go out; knows no resource."""
