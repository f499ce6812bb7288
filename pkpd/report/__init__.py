"""What people read: the HTML report and the figures (public as ``pkpd.plot``); the only floor that draws."""
