"""What an audit says, in tables, words, one page and one document. Looks at what was found; finds nothing itself."""

from stepladder.report.audit.document import build_audit_document
from stepladder.report.audit.page import render_audit_page
from stepladder.report.audit.words import audit_sections

__all__ = ["audit_sections", "build_audit_document", "render_audit_page"]
