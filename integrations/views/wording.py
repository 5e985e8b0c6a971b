"""What customers read about each saga of the shop."""

from __future__ import annotations

from integrations.views.progress import FormWords, Phrases, Wording
from sagas.states import RunStatus

ORDER = Wording(
    form=FormWords(
        title="Order",
        button="Place the order",
        correct="Please correct your order",
        sent_before="You have ordered already",
        earlier="see that order",
        once_more="you order once more",
    ),
    steps={
        "reserve_stock": Phrases(
            "Reserve the items",
            "Reserving the items",
            "The items are reserved",
            "The items could not be reserved",
            "Putting the items back",
            "The items are back on the shelf",
        ),
        "authorize_payment": Phrases(
            "Check the card",
            "Checking the card",
            "The card is accepted",
            "The card was not accepted",
            "Releasing the amount held on the card",
            "The amount held on the card is released",
        ),
        "capture_payment": Phrases(
            "Take the payment",
            "Taking the payment",
            "The payment is made",
            "The payment could not be taken",
        ),
        "book_courier": Phrases(
            "Book the courier",
            "Booking the courier",
            "The courier is booked",
            "The courier could not be booked",
        ),
        "print_label": Phrases(
            "Print the label",
            "Printing the label",
            "The label is printed",
            "The label could not be printed",
        ),
        "notify_customer": Phrases(
            "Send you the tracking number",
            "Sending you the tracking number",
            "The tracking number is in your mail",
            "The mail with the tracking number could not be sent",
        ),
    },
    summaries={
        RunStatus.PENDING: ("We have your order", "We start on it in a moment."),
        RunStatus.RUNNING: (
            "We are working on your order",
            "You may close this page: the order goes on without it.",
        ),
        RunStatus.COMPENSATING: (
            "Your order cannot be fulfilled",
            "We are undoing what was done. You pay nothing.",
        ),
        RunStatus.NEEDS_ATTENTION: (
            "Your order needs a closer look",
            "One of our people looks into it. You need not do anything.",
        ),
        RunStatus.SUCCEEDED: ("Your order is on its way", "Thank you for buying from us."),
        RunStatus.COMPENSATED: (
            "Your order was not fulfilled",
            "Everything was undone. You paid nothing.",
        ),
        RunStatus.RESOLVED: ("Your order is closed", "One of our people settled it."),
    },
)

REGISTRATION = Wording(
    form=FormWords(
        title="Sign up",
        button="Sign up",
        correct="Please correct your entries",
        sent_before="You have signed up already",
        earlier="see that registration",
        once_more="you sign up once more",
    ),
    steps={
        "create_account": Phrases(
            "Make your account",
            "Making your account",
            "Your account is made",
            "The account could not be made",
            "Deleting the account",
            "The account is deleted",
        ),
        "create_customer": Phrases(
            "Set up billing",
            "Setting up billing",
            "Billing is set up",
            "Billing could not be set up",
            "Removing what was set up for billing",
            "What was set up for billing is removed",
        ),
        "create_contact": Phrases(
            "Save your contact details",
            "Saving your contact details",
            "Your contact details are saved",
            "Your contact details could not be saved",
            "Deleting your contact details",
            "Your contact details are deleted",
        ),
        "enable_account": Phrases(
            "Open your account",
            "Opening your account",
            "Your account is open",
            "Your account could not be opened",
        ),
        "send_welcome": Phrases(
            "Mail you how to sign in",
            "Mailing you how to sign in",
            "How to sign in is in your mail",
            "The mail about how to sign in could not be sent",
        ),
    },
    summaries={
        RunStatus.PENDING: ("We have your registration", "We start on it in a moment."),
        RunStatus.RUNNING: (
            "We are setting up your account",
            "You may close this page: it goes on without it.",
        ),
        RunStatus.COMPENSATING: (
            "You could not be registered",
            "We are deleting what we had noted about you.",
        ),
        RunStatus.NEEDS_ATTENTION: (
            "Your registration needs a closer look",
            "One of our people looks into it. You need not do anything.",
        ),
        RunStatus.SUCCEEDED: ("Welcome! Your account is ready", "Your mail says how to sign in."),
        RunStatus.COMPENSATED: (
            "You could not be registered",
            "Nothing of what you entered is left with our partners. "
            "If you have an account already, sign in with it.",
        ),
        RunStatus.RESOLVED: ("Your registration is closed", "One of our people settled it."),
    },
    unseen=frozenset({"record_sign_up", "tell_team"}),
)

LEAD = Wording(
    form=FormWords(
        title="Ask for an offer",
        button="Ask for an offer",
        correct="Please correct your entries",
        sent_before="You have asked already",
        earlier="see that request",
        once_more="you ask once more",
    ),
    steps={
        "capture_lead": Phrases(
            "Write your request down",
            "Writing your request down",
            "Your request is written down",
            "Your request could not be written down",
            "Closing your request",
            "Your request is closed",
        ),
        "score_lead": Phrases(
            "Read your request",
            "Reading your request",
            "Your request is read",
            "Your request could not be read",
        ),
        "create_contact": Phrases(
            "Save your contact details",
            "Saving your contact details",
            "Your contact details are saved",
            "Your contact details could not be saved",
            "Deleting the contact details we saved",
            "The contact details we saved are deleted",
        ),
        "open_opportunity": Phrases(
            "Hand your request to a colleague",
            "Handing your request to a colleague",
            "A colleague has your request",
            "Your request could not be handed on",
            "Taking your request back",
            "Your request is taken back",
            conditional=True,
        ),
        "write_nurture_note": Phrases(
            "Note your request for later",
            "Noting your request for later",
            "Your request is noted for later",
            "Your request could not be noted for later",
            "Taking that note back",
            "That note is taken back",
            conditional=True,
        ),
        "route_lead": Phrases(
            "Settle who answers you",
            "Settling who answers you",
            "It is settled who answers you",
            "It could not be settled who answers you",
        ),
        "mark_contact": Phrases(
            "Bring our address book up to date",
            "Bringing our address book up to date",
            "Our address book is up to date",
            "Our address book could not be brought up to date, which changes nothing for you",
        ),
        "tell_sales": Phrases(
            "Tell our sales people",
            "Telling our sales people",
            "Our sales people know of your request",
            "Our sales people could not be told, and find your request later",
            conditional=True,
        ),
    },
    summaries={
        RunStatus.PENDING: ("We have your request", "We start on it in a moment."),
        RunStatus.RUNNING: (
            "We are working on your request",
            "You may close this page: it goes on without it.",
        ),
        RunStatus.COMPENSATING: (
            "Your request cannot be taken up now",
            "We are undoing what was done with it.",
        ),
        RunStatus.NEEDS_ATTENTION: (
            "Your request needs a closer look",
            "One of our people looks into it. You need not do anything.",
        ),
        RunStatus.SUCCEEDED: ("Your request is with us", "Thank you for asking. We will write."),
        RunStatus.COMPENSATED: (
            "Your request could not be taken up",
            "Nothing of what you entered is left with our partners. Please try again later.",
        ),
        RunStatus.RESOLVED: ("Your request is closed", "One of our people settled it."),
    },
)
