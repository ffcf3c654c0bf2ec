"""A server of the Model Context Protocol: the service as tools for a language model. Needs the extra ``mcp``."""
