"""Fills a new JupyterHub database with users in groups. To be run with the hub's own Python:

    python make_hub.py SQLITE_FILE --users 10000 --groups 200 --seed 1

Each user is in 0 to 6 groups, 3 on average, and has the default role, which the hub would otherwise give one user at
a time at its first start. Prints the number of memberships.
"""

import argparse
import random

from jupyterhub import orm, roles


def main():
    arguments = parse_arguments()
    session = orm.new_session_factory(f"sqlite:///{arguments.database}")()
    group_ids = add_groups(session, arguments.groups)
    user_ids = add_users(session, arguments.users)
    memberships = draw_memberships(user_ids, group_ids, random.Random(arguments.seed))
    session.execute(orm.user_group_map.insert(), memberships)
    give_default_role(session, user_ids)
    session.commit()
    print(len(memberships))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", metavar="SQLITE_FILE")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--groups", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def add_groups(session, count):
    groups = [orm.Group(name=f"group-{number:03}") for number in range(count)]
    session.add_all(groups)
    session.flush()
    return [group.id for group in groups]


def add_users(session, count):
    users = [orm.User(name=f"user-{number:05}") for number in range(count)]
    session.add_all(users)
    session.flush()
    return [user.id for user in users]


def draw_memberships(user_ids, group_ids, chance):
    return [
        {"user_id": user_id, "group_id": group_id}
        for user_id in user_ids
        for group_id in chance.sample(group_ids, chance.randint(0, min(6, len(group_ids))))
    ]


def give_default_role(session, user_ids):
    for role in roles.get_default_roles():
        roles.create_role(session, role)
    role_id = orm.Role.find(session, "user").id
    rows = [{"user_id": user_id, "role_id": role_id} for user_id in user_ids]
    session.execute(orm.Base.metadata.tables["user_role_map"].insert(), rows)


if __name__ == "__main__":
    main()
