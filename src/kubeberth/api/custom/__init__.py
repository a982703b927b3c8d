"""Custom resources: what a CustomResourceDefinition says of its objects; pure."""
